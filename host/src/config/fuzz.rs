//! Fuzzes the command line and `alekseylearn.toml`, of the user and of a project.

use std::{ffi::OsString, path::Path};

use super::{
    Assignment, Chosen, Designated, Location, OptionSpec, OptionType, Origin, Values, defaults::Defaults,
    spell_out, validate,
};
use crate::fuzz::{Target, texts, told};

/// The fuzz targets.
pub const FUZZ: &[Target] = &[
    Target { name: "options", run: options, seeds: || texts(&LINES) },
    Target { name: "defaults", run: defaults, seeds: || texts(&FILES) },
];

const KINDS: [OptionType; 8] = [
    OptionType::Text,
    OptionType::Integer,
    OptionType::Number,
    OptionType::Boolean,
    OptionType::Entries,
    OptionType::Location,
    OptionType::Inputs,
    OptionType::Role,
];

/// One option of each type, named by letters: `a` is a text, `h` a role; and `z`, which is secret.
fn schema() -> Vec<OptionSpec> {
    let spec = |(letter, kind): (u8, OptionType)| {
        let key = char::from(letter).to_string();
        OptionSpec {
            range: (None, Some(1_000_000)),
            schemes: vec!["s3".into(), "gs".into()],
            ..OptionSpec::new(kind, key, "a help".into())
        }
    };
    let secret = OptionSpec { secret: true, ..spec((b'z', OptionType::Text)) };
    (b'a'..).zip(KINDS).map(spec).chain([secret]).collect()
}

const LINES: [&str; 3] = [
    "fit\ntrain.py\n--config.a=x=y\n--config.b\n-5\n-c\nc=1e3\n--config.d=yes",
    "--config.e.learning-rate=1\n--config.e.x=\n--config.f=gs://bucket/a/b/\n--config.g.train=s3://bucket//a",
    "--config.g.train=./data\n--config.h=arn:aws:iam::1:role/x\n--config.z=hidden\n--config.nothing=1\n--\n--config.a=1",
];

/// One argument per line.
fn options(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let arguments = spell_out(text.split('\n').map(OsString::from).collect());
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let pairs = texts.windows(2).filter(|pair| pair[0] == "-c");
    let given: Vec<Assignment> = pairs.filter_map(|pair| pair[1].parse().ok()).collect();
    judge(&given, &[]);
}

fn judge(given: &[Assignment], defaults: &[Assignment]) {
    let specs = schema();
    let driver = Chosen { name: "driver", specs: &specs, defaults, shipped: true };
    let Some([values]) = told(validate(given, [driver])) else { return };
    for named in values.designated() {
        if let Designated::Location(place) = &named.thing {
            assert_eq!(place.to_string().parse::<Location>().as_ref(), Ok(place));
            assert!(place.holds(place));
        }
    }
    // The recorded options give the same values again, and contain no secret.
    assert!(values.given().iter().all(|(key, _)| key != "z"));
    let kept: Vec<Assignment> = values
        .given()
        .iter()
        .map(|(key, value)| Assignment {
            key: key.clone(),
            value: value.clone(),
            origin: Origin::CommandLine,
        })
        .collect();
    let again = told(Values::new(Chosen { defaults: &[], ..driver }, &kept));
    let again = again.expect("what was accepted is accepted again");
    for spec in specs.iter().filter(|spec| !spec.secret) {
        assert_eq!(again.get(&spec.key), values.get(&spec.key), "{}", spec.key);
    }
    let things =
        |values: &Values| values.designated().iter().map(|named| named.thing.clone()).collect::<Vec<_>>();
    assert_eq!(things(&again), things(&values));
}

const FILES: [&str; 2] = [
    "fit.train-driver = 'driver'\n[train.driver]\na = 'x'\nb = 2\nc = 0.5\nd = true\n[train.driver.e]\nepochs = 3\nx.y = 1",
    "[build.driver]\nf = 's3://bucket/a'\ng = { train = 's3://bucket/b' }\n[plugins]\nrequire-signatures = true\n\
     [plugins.trusted-keys]\nada = 'RW'",
];

fn defaults(bytes: &[u8]) {
    let path = Path::new("/project/alekseylearn.toml");
    let Some(file) = told(Defaults::parse(path, &String::from_utf8_lossy(bytes))) else { return };
    for options in [file.build_options("driver", &[]), file.train_options("driver", &[])] {
        if let Some(options) = told(options) {
            judge(&[], &options);
        }
    }
}
