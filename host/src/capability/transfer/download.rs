//! An object of S3 into a file.

use std::{
    fs::File,
    io::{Seek, Write},
    path::Path,
    time::Duration,
};

use crate::{
    capability::{
        Listener, Progress,
        aws::{Aws, Object},
    },
    config::S3Location,
    error::{Context, Error, Kind, Result},
};

/// As many times a broken connection is taken up again without a byte of progress between.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Writes the object to `target`: whole, or not at all. A connection that breaks is taken up again where it broke.
///
/// # Errors
/// There is no such object, it changed meanwhile, the disk is full, or the service cannot be reached.
pub async fn download(aws: &Aws, from: &S3Location, target: &Path, listener: Listener<'_>) -> Result<u64> {
    let object = aws.object(from).await?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no {from}"))
            .hint("the training wrote nothing to /opt/ml/model, or the artifact was deleted since")
    })?;
    let folder = target.parent().unwrap_or(Path::new("."));
    let cannot_write = || format!("cannot write to {}", folder.display());
    let partial = tempfile::NamedTempFile::new_in(folder).context(cannot_write)?;
    let mut file = partial.as_file();
    let mut done = 0;
    let mut attempts = 0;
    while done < object.size {
        let before = done;
        match receive(aws, from, &object, file, &mut done, listener).await {
            Ok(()) => {}
            Err(error) if error.kind() == Kind::Unavailable => {
                attempts = if done > before { 0 } else { attempts + 1 };
                if attempts == ATTEMPTS {
                    return Err(error);
                }
                tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempts)).await;
            }
            Err(error) => return Err(error),
        }
    }
    if done != object.size {
        return Err(Error::failed(format!("{from} has {} bytes, but {done} came", object.size))
            .hint("fetch it again"));
    }
    file.flush().and_then(|()| file.sync_all()).context(cannot_write)?;
    partial.persist(target).context(cannot_write)?;
    Ok(done)
}

async fn receive(
    aws: &Aws,
    from: &S3Location,
    object: &Object,
    mut file: &File,
    done: &mut u64,
    listener: Listener<'_>,
) -> Result<()> {
    let mut body = aws.read_object(from, *done, object.etag.as_deref()).await?;
    file.seek(std::io::SeekFrom::Start(*done)).context(|| format!("cannot write {from} to disk"))?;
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| {
            Error::new(Kind::Unavailable, format!("the connection broke while {from} was coming"))
                .hint("fetch it again")
                .source(error)
        })?;
        file.write_all(&part).map_err(|error| {
            Error::failed(format!("cannot write {from} to disk"))
                .hint("free some disk and fetch again")
                .source(error)
        })?;
        *done += part.len() as u64;
        listener(Progress::Bytes(*done, Some(object.size)));
    }
    if *done < object.size {
        return Err(Error::new(Kind::Unavailable, format!("{from} came only in part")).hint("fetch it again"));
    }
    Ok(())
}
