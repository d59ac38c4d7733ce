from steps.columns import check_lengths


def prepare(table):
    check_lengths(table)
    return table
