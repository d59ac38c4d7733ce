//! The runner: SageMaker's contract around a script or notebook, in plain Python. It is the first process of each image,
//! and what a service that takes no images is handed instead. With it, the tools that install beside it.

/// What installs what a training folder asks for: pinned, so that an unchanged folder gives an unchanged layer.
pub const UV: &str = "uv==0.13.9";
/// Reads what Poetry declares.
pub const POETRY: &str = "poetry==2.2.1";
/// Writes it for others to read.
pub const POETRY_EXPORT: &str = "poetry-plugin-export==1.9.0";

/// Its files, by their names.
pub const FILES: &[(&str, &str)] = &[
    ("__main__.py", include_str!("../__main__.py")),
    ("arguments.py", include_str!("../arguments.py")),
    ("cluster.py", include_str!("../cluster.py")),
    ("environment.py", include_str!("../environment.py")),
    ("failure.py", include_str!("../failure.py")),
    ("job.py", include_str!("../job.py")),
    ("kernel.py", include_str!("../kernel.py")),
    ("notebook.py", include_str!("../notebook.py")),
    ("relay.py", include_str!("../relay.py")),
    ("results.py", include_str!("../results.py")),
    ("roots.py", include_str!("../roots.py")),
    ("storage.py", include_str!("../storage.py")),
    ("supervise.py", include_str!("../supervise.py")),
];
