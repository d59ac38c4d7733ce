"""Learn to read handwritten digits with a support vector machine."""

import argparse
import json
import os
from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, classification_report
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

parser = argparse.ArgumentParser(description=__doc__)
# SageMaker passes a hyperparameter of one letter with one dash.
parser.add_argument("-C", "--C", type=float, default=10.0, help="how hard errors are punished")
parser.add_argument("--kernel", default="rbf", choices=["linear", "poly", "rbf"])
parser.add_argument("--test-size", type=float, default=0.25)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()

# Inside a training container this is /opt/ml/model; the folder itself elsewhere.
model_dir = Path(os.environ.get("SM_MODEL_DIR", "."))

images, labels = load_digits(return_X_y=True)
train_images, test_images, train_labels, test_labels = train_test_split(
    images, labels, test_size=options.test_size, random_state=options.seed, stratify=labels
)
print(f"training on {len(train_images)} digits, testing on {len(test_images)}")

model = make_pipeline(StandardScaler(), SVC(C=options.C, kernel=options.kernel))
model.fit(train_images, train_labels)

predicted = model.predict(test_images)
accuracy = accuracy_score(test_labels, predicted)
print(classification_report(test_labels, predicted))
print(f"accuracy: {accuracy:.4f}")

joblib.dump(model, model_dir / "model.joblib")
(model_dir / "metrics.json").write_text(json.dumps({"accuracy": accuracy, **vars(options)}, indent=2) + "\n")
