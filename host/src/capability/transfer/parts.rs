//! Records which parts of a file were downloaded in a file beside it, so that the next run resumes where a killed one
//! stopped.

use std::{
    fs::File,
    io::{self, Write},
    ops::Range,
    os::unix::fs::FileExt,
};

use crc_fast::{CrcAlgorithm, Digest, checksum, checksum_combine};

use super::{At, source::Object};
use crate::disk::{PRIVATE, SHARED};

/// Size of a part in bytes.
pub(super) const PART: u64 = 8 << 20;
/// Maximum size of the list of parts in bytes: more than a file of 10 TiB has.
const MAX_NOTES: u64 = 64 << 20;

/// The downloaded parts of a file.
pub(super) struct Parts {
    size: u64,
    /// The size of each part but the last.
    part: u64,
    algorithm: CrcAlgorithm,
    /// The checksum of each downloaded part.
    there: Vec<Option<u64>>,
    /// The list, with a line for each downloaded part: its number and checksum.
    notes: File,
}

impl Parts {
    /// The parts of an earlier run for the same object, if their checksums still match.
    pub(super) fn open(archive: &At, object: &Object) -> io::Result<(Self, File)> {
        let algorithm =
            object.checksum.as_ref().map_or(CrcAlgorithm::Crc32IsoHdlc, |(algorithm, _)| *algorithm);
        let part = if object.in_parts { PART } else { object.size.max(1) };
        let count = usize::try_from(object.size.div_ceil(part)).map_err(io::Error::other)?;
        let (folder, notes) = (&archive.folder, archive.notes());
        let head = format!("{} {} {algorithm:?}", object.size, object.etag.as_deref().unwrap_or_default());
        let earlier = folder.read(&notes, MAX_NOTES).unwrap_or_default();
        let earlier = String::from_utf8_lossy(&earlier);
        let mut lines = earlier.lines();
        // Without an ETag, it is unknown whether it is still the same object.
        let same = object.etag.is_some() && lines.next() == Some(&head);
        let file = folder.update(&archive.name, SHARED)?;
        if !same {
            file.set_len(0)?;
        }
        file.set_len(object.size)?;
        folder.remove_all(&notes)?;
        let there = vec![None; count];
        let mut parts =
            Self { size: object.size, part, algorithm, there, notes: folder.create(&notes, PRIVATE)? };
        writeln!(parts.notes, "{head}")?;
        if same {
            for line in lines {
                // The last line may be incomplete.
                let Some((number, sum)) = line.split_once(' ') else { continue };
                let (Ok(number), Ok(sum)) = (number.parse(), u64::from_str_radix(sum, 16)) else { continue };
                if number < count && parts.holds(&file, number, sum)? {
                    parts.arrived(number, sum)?;
                }
            }
        }
        Ok((parts, file))
    }

    fn holds(&self, file: &File, number: usize, sum: u64) -> io::Result<bool> {
        let mut range = self.range(number);
        let mut digest = Digest::new(self.algorithm);
        let mut content = vec![0; usize::try_from(PART).map_err(io::Error::other)?];
        while range.start < range.end {
            let length = usize::try_from((range.end - range.start).min(PART)).map_err(io::Error::other)?;
            file.read_exact_at(&mut content[..length], range.start)?;
            digest.update(&content[..length]);
            range.start += length as u64;
        }
        Ok(digest.finalize() == sum)
    }

    pub(super) fn algorithm(&self) -> CrcAlgorithm {
        self.algorithm
    }

    pub(super) fn range(&self, number: usize) -> Range<u64> {
        let start = number as u64 * self.part;
        start..(start + self.part).min(self.size)
    }

    /// The missing parts.
    pub(super) fn missing(&self) -> Vec<usize> {
        (0..self.there.len()).filter(|number| self.there[*number].is_none()).collect()
    }

    pub(super) fn arrived(&mut self, number: usize, sum: u64) -> io::Result<()> {
        self.there[number] = Some(sum);
        writeln!(self.notes, "{number} {sum:x}")
    }

    /// How many bytes were downloaded.
    pub(super) fn bytes(&self) -> u64 {
        let there = (0..self.there.len()).filter(|number| self.there[*number].is_some());
        there.map(|number| self.range(number)).map(|range| range.end - range.start).sum()
    }

    /// How many bytes from the start were downloaded.
    pub(super) fn level(&self) -> u64 {
        let whole = self.there.iter().take_while(|part| part.is_some()).count();
        (whole as u64 * self.part).min(self.size)
    }

    /// The checksum of the whole file, once all parts are downloaded.
    pub(super) fn checksum(&self) -> u64 {
        let start = checksum(self.algorithm, b"");
        self.there.iter().enumerate().fold(start, |sum, (number, part)| {
            let range = self.range(number);
            checksum_combine(self.algorithm, sum, part.unwrap_or_default(), range.end - range.start)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Folder;

    fn object(size: u64, etag: &str) -> Object {
        Object { size, etag: Some(etag.into()), checksum: None, in_parts: true }
    }

    #[test]
    fn parts_are_reused_only_if_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let archive = At::new(&Folder::open(folder.path()).unwrap(), "archive");
        let content: Vec<u8> = (0..PART * 2 + 5).map(|n| (n % 251) as u8).collect();
        let size = content.len() as u64;
        let (mut parts, file) = Parts::open(&archive, &object(size, "one")).unwrap();
        file.write_all_at(&content, 0).unwrap();
        for number in [0, 2] {
            let range = parts.range(number);
            let bytes = &content[range.start as usize..range.end as usize];
            parts.arrived(number, checksum(parts.algorithm(), bytes)).unwrap();
        }
        assert_eq!((parts.level(), parts.bytes()), (PART, PART + 5));
        drop(parts);
        let (mut parts, _) = Parts::open(&archive, &object(size, "one")).unwrap();
        assert_eq!(parts.missing(), [1]);
        let range = parts.range(1);
        let bytes = &content[range.start as usize..range.end as usize];
        parts.arrived(1, checksum(parts.algorithm(), bytes)).unwrap();
        assert_eq!(parts.checksum(), checksum(parts.algorithm(), &content));
        assert_eq!(parts.level(), size);
        drop(parts);
        // A byte changed on the disk, and then the object changed in the bucket.
        file.write_all_at(b"\xff", 3).unwrap();
        let (parts, _) = Parts::open(&archive, &object(size, "one")).unwrap();
        assert_eq!(parts.missing(), [0]);
        drop(parts);
        let (parts, _) = Parts::open(&archive, &object(size, "two")).unwrap();
        assert_eq!(parts.missing(), [0, 1, 2]);
    }
}
