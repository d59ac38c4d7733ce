//! What the usual packages of this field always bring, so that a list that names these is not said to lack the others.

use std::collections::BTreeSet;

/// Packages by their normalized names, each with some of what all its recent versions require.
const BRINGS: &[(&str, &[&str])] = &[
    ("accelerate", &["numpy", "pyyaml", "torch"]),
    ("albumentations", &["numpy", "pyyaml", "scipy"]),
    ("catboost", &["matplotlib", "numpy", "pandas", "scipy"]),
    ("datasets", &["numpy", "pandas", "pyyaml", "requests", "tqdm"]),
    ("gensim", &["numpy", "scipy"]),
    ("gymnasium", &["numpy"]),
    ("hydra-core", &["omegaconf"]),
    ("imbalanced-learn", &["joblib", "numpy", "scikit-learn", "scipy"]),
    ("jax", &["numpy", "scipy"]),
    ("keras", &["h5py", "numpy"]),
    ("lightgbm", &["numpy", "scipy"]),
    ("lightning", &["pyyaml", "torch", "tqdm"]),
    ("matplotlib", &["numpy", "pillow"]),
    ("mlflow", &["matplotlib", "numpy", "pandas", "scikit-learn", "scipy"]),
    ("nltk", &["click", "joblib", "tqdm"]),
    ("omegaconf", &["pyyaml"]),
    ("opencv-python", &["numpy"]),
    ("opencv-python-headless", &["numpy"]),
    ("optuna", &["numpy", "pyyaml", "tqdm"]),
    ("pandas", &["numpy"]),
    ("prophet", &["matplotlib", "numpy", "pandas"]),
    ("pytorch-lightning", &["pyyaml", "torch", "tqdm"]),
    ("scikit-image", &["numpy", "pillow", "scipy"]),
    ("scikit-learn", &["joblib", "numpy", "scipy"]),
    ("scipy", &["numpy"]),
    ("seaborn", &["matplotlib", "numpy", "pandas"]),
    ("sentence-transformers", &["numpy", "scikit-learn", "scipy", "torch", "tqdm", "transformers"]),
    ("shap", &["numpy", "pandas", "scikit-learn", "scipy", "tqdm"]),
    ("spacy", &["numpy", "requests", "tqdm"]),
    ("stable-baselines3", &["gymnasium", "matplotlib", "numpy", "pandas", "torch"]),
    ("statsmodels", &["numpy", "pandas", "scipy"]),
    ("tensorflow", &["h5py", "keras", "numpy"]),
    ("torchaudio", &["torch"]),
    ("torchvision", &["numpy", "pillow", "torch"]),
    ("transformers", &["numpy", "pyyaml", "requests", "tqdm"]),
    ("xgboost", &["numpy", "scipy"]),
];

/// Whether one of these packages always brings `package`, itself or by what it brings.
pub(super) fn always_bring(packages: &BTreeSet<String>, package: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<&str> = packages.iter().map(String::as_str).collect();
    while let Some(name) = waiting.pop() {
        if name == package {
            return true;
        }
        if seen.insert(name) {
            let brought = BRINGS.binary_search_by_key(&name, |(name, _)| name).map(|at| BRINGS[at].1);
            waiting.extend(brought.unwrap_or_default());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_package_brings_is_found_through_others() {
        assert!(BRINGS.is_sorted_by_key(|(name, _)| name));
        let list = ["seaborn".to_owned(), "requests".to_owned()].into();
        assert!(always_bring(&list, "pillow") && always_bring(&list, "numpy"));
        assert!(!always_bring(&list, "scikit-learn"));
    }
}
