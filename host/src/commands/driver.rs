use serde_json::json;

use super::completions;
use crate::{
    config::OptionSpec,
    error::{Error, Kind, Result},
    job::Context,
    plugin::{DriverKind, Listed, Origin},
};

/// List drivers, or show the options of one
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// List the drivers
    List,
    /// Show a driver's options
    Show {
        /// Name of the driver
        #[arg(value_parser = super::driver, add = completions::drivers(&DriverKind::ALL))]
        name: String,
    },
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    match arguments {
        Arguments::List => list(context).await,
        Arguments::Show { name } => show(context, name).await,
    }
}

async fn list(context: &Context) -> Result<()> {
    let drivers = context.plugins.list().await?;
    let from = |driver: &Listed| match &driver.origin {
        Origin::Shipped => "shipped".to_owned(),
        Origin::Lent(digest) => format!("not installed {}", digest.get(..19).unwrap_or(digest)),
        Origin::Installed(digest) => format!("installed {}", digest.get(..19).unwrap_or(digest)),
    };
    let rows: Vec<[String; 4]> = drivers
        .iter()
        .map(|driver| {
            [driver.kind.name().to_owned(), driver.name.clone(), from(driver), driver.granted.to_string()]
        })
        .collect();
    let data: Vec<_> = drivers
        .iter()
        .map(|driver| {
            json!({
                "name": driver.name,
                "kind": driver.kind.name(),
                "from": from(driver),
                "granted": driver.granted,
            })
        })
        .collect();
    context
        .ui
        .result(&context.ui.table(["KIND", "NAME", "FROM", "GRANTED"], &rows), json!({ "drivers": data }));
    Ok(())
}

async fn show(context: &Context, name: &str) -> Result<()> {
    let mut kinds = Vec::new();
    for kind in context.plugins.kinds(name).await? {
        let options = match kind {
            DriverKind::Build => context.plugins.build_driver(name).await?.options().await?,
            DriverKind::Train => context.plugins.train_driver(name).await?.options().await?,
        };
        kinds.push((kind.name(), options));
    }
    if kinds.is_empty() {
        return Err(Error::new(Kind::NotFound, format!("no driver named `{name}`"))
            .hint("`alekseylearn driver list` lists the drivers"));
    }
    let text: Vec<String> = kinds.iter().map(|(kind, specs)| page(context, name, kind, specs)).collect();
    let data: Vec<_> = kinds
        .iter()
        .map(|(kind, specs)| json!({ "kind": kind, "options": specs.iter().map(described).collect::<Vec<_>>() }))
        .collect();
    context.ui.result(&text.join("\n\n"), json!({ "name": name, "drivers": data }));
    Ok(())
}

fn page(context: &Context, name: &str, kind: &str, specs: &[OptionSpec]) -> String {
    let head = format!("{name}: {kind} driver (--{kind}-driver {name})");
    if specs.is_empty() {
        return format!("{head}\n\nIt has no options.");
    }
    let rows: Vec<[String; 4]> = specs
        .iter()
        .map(|spec| {
            let value = match (&spec.default, spec.required) {
                (Some(default), _) => default.clone(),
                (None, true) => "(required)".into(),
                (None, false) => String::new(),
            };
            let help = match spec.allowed() {
                Some(allowed) => format!("{} ({allowed})", spec.help),
                None => spec.help.clone(),
            };
            [format!("--config.{}", spec.key), spec.form().into_owned(), value, help]
        })
        .collect();
    format!("{head}\n\n{}", context.ui.table(["OPTION", "TYPE", "DEFAULT", "DESCRIPTION"], &rows))
}

fn described(spec: &OptionSpec) -> serde_json::Value {
    json!({
        "key": spec.key,
        "type": spec.form(),
        "required": spec.required,
        "default": spec.default,
        "choices": spec.choices,
        "min": spec.range.0,
        "max": spec.range.1,
        "secret": spec.secret,
        "help": spec.help,
    })
}
