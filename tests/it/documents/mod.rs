//! What the documents say holds: their commands run, their links lead somewhere, and the Russian pages say
//! as much as the English ones.

mod commands;
mod links;
// The help of Windows has other defaults in it, and git may have changed line ends there.
#[cfg(not(windows))]
mod picture;
use std::fs;
use std::path::{Path, PathBuf};

/// A document.
struct Page {
    path: PathBuf,
    text: String,
}

/// A block in a page between fences.
struct Block<'a> {
    language: &'a str,
    text: &'a str,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
        Self { path, text }
    }

    /// Every page that a user may read.
    fn all() -> Vec<Self> {
        let folders = [root().to_owned(), root().join("docs")];
        let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|end| end == "md"));
        files.sort();
        files.into_iter().map(Self::read).collect()
    }

    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/")
    }

    /// Its blocks, and the text around them.
    fn parts(&self) -> (Vec<Block<'_>>, String) {
        let mut blocks = Vec::new();
        let mut prose = String::new();
        let mut pieces = self.text.split("\n```");
        prose.push_str(pieces.next().unwrap_or_default());
        while let (Some(block), Some(after)) = (pieces.next(), pieces.next()) {
            let (language, text) = block.split_once('\n').unwrap_or((block, ""));
            blocks.push(Block { language, text });
            prose.push_str(after);
        }
        (blocks, prose)
    }
}
