//! An assembled image as an archive for a container engine, made while it is sent.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, future, stream};
use serde_json::json;
use tokio::sync::OnceCell;

use super::{Registry, assembly::Assembled};
use crate::error::{Error, Result};

/// The size of a block of a tar file.
const BLOCK: u64 = 512;

impl Assembled {
    /// The image as `docker save` writes it. Layers of the base image are read from their registry.
    pub fn archive(self: Arc<Self>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let path = |digest: &str| digest.replace(':', "/");
        let config = format!("{}.json", path(&self.config_digest));
        let base = self.made.base.layers.iter().map(|layer| (layer.digest.clone(), layer.size, true));
        let own = self.made.layers.iter().map(|layer| (layer.digest.clone(), layer.size, false));
        let layers: Vec<_> = base.chain(own).collect();
        let paths: Vec<String> = layers.iter().map(|(digest, ..)| path(digest)).collect();
        let index = json!([{ "Config": config, "RepoTags": [self.reference], "Layers": paths }]).to_string();
        let small = [("manifest.json".to_owned(), index), (config, self.made.config.clone())];
        let small = small.map(|(name, text)| {
            entry(&name, text.len() as u64, stream::iter([Ok(Bytes::from(text))]).boxed())
        });
        let source: Arc<OnceCell<Registry>> = Arc::default();
        let mut seen = std::collections::HashSet::new();
        let large = layers.into_iter().filter(move |(digest, ..)| seen.insert(digest.clone()));
        let large = large.map(move |(digest, size, is_base)| {
            let (image, source, name) = (self.clone(), source.clone(), path(&digest));
            let opened =
                async move { image.layer(&source, &digest, is_base).await.map_err(io::Error::other) };
            entry(&name, size, stream::once(opened).try_flatten().boxed())
        });
        let end = stream::iter([Ok(Bytes::from_static(&[0; 2 * BLOCK as usize]))]).boxed();
        stream::iter(small).chain(stream::iter(large)).chain(stream::once(future::ready(end))).flatten()
    }

    async fn layer(
        &self,
        source: &OnceCell<Registry>,
        digest: &str,
        is_base: bool,
    ) -> Result<stream::BoxStream<'static, io::Result<Bytes>>> {
        if !is_base {
            return Ok(self.own_layer(digest)?.boxed());
        }
        let open = || self.made.base.registry(&self.environment);
        let source = source.get_or_try_init(open).await?;
        let stream = source.client.pull_blob_stream(&source.image, digest).await;
        Ok(stream
            .map_err(|error: oci_client::errors::OciDistributionError| -> Error { source.explain(error) })?
            .boxed())
    }
}

/// A file of a tar archive.
fn entry(
    name: &str,
    size: u64,
    content: stream::BoxStream<'static, io::Result<Bytes>>,
) -> stream::BoxStream<'static, io::Result<Bytes>> {
    let mut header = tar::Header::new_ustar();
    let named = header.set_path(name);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    let header = named.map(|()| Bytes::copy_from_slice(header.as_bytes()));
    let rest = (BLOCK - size % BLOCK) % BLOCK;
    let padding = Bytes::from(vec![0; usize::try_from(rest).unwrap_or_default()]);
    stream::iter([header]).chain(content).chain(stream::iter([Ok(padding)])).boxed()
}
