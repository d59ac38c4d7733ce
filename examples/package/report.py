"""A module beside the script."""

from pricing.districts import district_names


def show(model, flats):
    error = abs(model.predict(flats.columns("area", "rooms", "floor")) - flats.column("price")).mean()
    print(f"{len(flats)} flats in {len(district_names())} districts")
    print(f"mean error: {error:.1f} thousand")
