//! Returns terminal escape sequences and forged lines in every text of a driver.

use alekseylearn_sdk::{
    Artifact, ArtifactKind, Destination, Error, Finding, Job, JobStatus, LogLine, LogPage, OptionSpec, State,
    Training, progress, train,
};

struct Driver;

alekseylearn_sdk::plugin!(train = Driver);

const PAINT: &str = "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m\u{9b}31m\u{202e}abc\r\x08\u{2028}<script>\n\
                     error: forged\nhint: run `forged`\n\u{200b}warning: forged\n[ 0.1s] forged";

impl train::Guest for Driver {
    fn options() -> Vec<OptionSpec> {
        vec![OptionSpec::text("fails", PAINT)]
    }

    fn check(_: &Training) -> Result<Vec<Finding>, Error> {
        progress::stage(PAINT);
        progress::detail(PAINT);
        progress::warning(PAINT);
        Ok(vec![Finding::note(PAINT), Finding::warning(PAINT, PAINT), Finding::cost(Some(1.0), PAINT)])
    }

    fn preview(_: &Training) -> Result<String, Error> {
        let escaped: String = PAINT.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        Ok(format!("{{\"paint\": \"{escaped}\"}}"))
    }

    fn prepare(_: &Training) -> Result<Destination, Error> {
        Ok(Destination::none())
    }

    fn submit(training: &Training) -> Result<String, Error> {
        match training.options().text("fails") {
            Some(_) => Err(Error::failed(PAINT).hint(PAINT)),
            None => Ok(PAINT.to_owned()),
        }
    }

    fn status(_: &Job) -> Result<JobStatus, Error> {
        let status = JobStatus::new(State::Failed);
        status.detail(PAINT);
        status.reason(PAINT);
        status.phase(PAINT, 1, Some(2));
        Ok(status)
    }

    fn logs(_: &Job, _: Option<String>) -> Result<LogPage, Error> {
        let line =
            |node: &str, text: &str| LogLine { node: node.to_owned(), time: None, text: text.to_owned() };
        let lines = vec![
            line("algo-1", PAINT),
            line(PAINT, "\x1b[>4;2m\x1b[?4mloss=1 accuracy\x1b[2J=2"),
            line("algo-1", "\x1b[1;31mred\x1b[0m"),
        ];
        Ok(LogPage { lines, cursor: "1".to_owned(), drained: true })
    }

    fn stop(_: &Job) -> Result<(), Error> {
        Ok(())
    }

    fn artifacts(_: &Job) -> Result<Vec<Artifact>, Error> {
        Ok(vec![Artifact::job_file(ArtifactKind::Model, PAINT)])
    }

    fn find(_: String, _: String) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
}
