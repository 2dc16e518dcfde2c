//! YAML documents as nodes with their lines; aliases and merge keys are followed, within limits.

use crate::Error;
use crate::value::number_text;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How deep a document may be.
const MAX_DEPTH: usize = 64;
/// Nodes that a document may have, those of its aliases included.
const MAX_NODES: usize = 200_000;

/// A node and the line at which it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The line, from 1.
    pub line: usize,
    /// The content.
    pub content: Content,
}

/// The content of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Nothing: `null`, `~` or an empty value.
    Null,
    /// A text; one without quotes may be a truth or a number.
    Scalar {
        /// The text.
        text: String,
        /// Whether it stands without quotes.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in its order.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Returns an empty mapping.
    pub fn empty(line: usize) -> Node {
        Node { line, content: Content::Map(Vec::new()) }
    }

    /// Returns a text.
    pub fn text(line: usize, text: impl Into<String>) -> Node {
        Node { line, content: Content::Scalar { text: text.into(), plain: false } }
    }

    /// Returns the value of a key; null is none.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let found = self.pairs().iter().find(|(name, _)| name == key).map(|(_, node)| node);
        found.filter(|node| node.content != Content::Null)
    }

    /// Returns the pairs of a mapping; of anything else, none.
    pub fn pairs(&self) -> &[(String, Node)] {
        match &self.content {
            Content::Map(pairs) => pairs,
            _ => &[],
        }
    }

    /// Returns the elements of a sequence; of anything else, none.
    pub fn list(&self) -> &[Node] {
        match &self.content {
            Content::List(list) => list,
            _ => &[],
        }
    }

    /// Returns a scalar's text; a number is written as it is read.
    pub fn scalar(&self) -> Option<String> {
        let Content::Scalar { text, plain } = &self.content else { return None };
        let is_float = *plain && text.contains('.') && text.bytes().all(|byte| b"0123456789.-+".contains(&byte));
        let float = text.parse().ok().filter(|_| is_float).map(number_text);
        Some(float.unwrap_or_else(|| text.clone()))
    }

    /// Returns a scalar's text, as it is written.
    pub fn written(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Returns a word for its kind.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Scalar { .. } => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    fn count(&self) -> usize {
        1 + match &self.content {
            Content::List(list) => list.iter().map(Node::count).sum(),
            Content::Map(pairs) => pairs.iter().map(|(_, node)| node.count()).sum::<usize>(),
            _ => 0,
        }
    }
}

/// A collection that is not closed yet.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<String>,
    merged: Vec<Node>,
}

/// Builds nodes from events.
#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    documents: Vec<Node>,
}

/// Reads the only document of a text.
pub fn parse(name: &str, text: &str) -> Result<Node, Error> {
    let mut documents = parse_all(name, text)?;
    match documents.len() {
        0 => Ok(Node { line: 1, content: Content::Null }),
        1 => Ok(documents.remove(0)),
        _ => Err(Error::new("one document is expected, not several").at(name, Some(documents[1].line))),
    }
}

/// Reads all documents of a text.
pub fn parse_all(name: &str, text: &str) -> Result<Vec<Node>, Error> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            Error::new(format!("this is not YAML: {}", error.info())).at(name, Some(error.marker().line()))
        })?;
        builder.add(event, span).map_err(|error| error.at(name, Some(span.start.line())))?;
    }
    Ok(builder.documents)
}

impl Builder {
    fn add(&mut self, event: Event<'_>, span: Span) -> Result<(), Error> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                check_tag(tag.as_ref())?;
                let plain = style == ScalarStyle::Plain;
                let content = match (plain, &*text) {
                    (true, "" | "~" | "null" | "Null" | "NULL") => Content::Null,
                    _ => Content::Scalar { text: text.into_owned(), plain },
                };
                self.finish(Node { line, content }, anchor)
            }
            Event::SequenceStart(anchor, tag) => self.open(Content::List(Vec::new()), anchor, tag.as_ref(), line),
            Event::MappingStart(anchor, tag) => self.open(Content::Map(Vec::new()), anchor, tag.as_ref(), line),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(mut open) = self.stack.pop() else { return Ok(()) };
                merge(&mut open)?;
                self.finish(open.node, open.anchor)
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let node = known.ok_or_else(|| Error::new("an alias stands for what holds it"))?;
                self.nodes += node.count();
                self.finish(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, content: Content, anchor: usize, tag: Option<&Cow<'_, Tag>>, line: usize) -> Result<(), Error> {
        check_tag(tag)?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(Error::new(format!("the document is deeper than {MAX_DEPTH} levels")));
        }
        self.stack.push(Open { node: Node { line, content }, anchor, key: None, merged: Vec::new() });
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Error::new(format!("the document has more than {MAX_NODES} nodes")));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.stack.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match (&mut open.node.content, open.key.take()) {
            (Content::List(list), _) => list.push(node),
            (Content::Map(_), None) => {
                let key = match &node.content {
                    Content::Scalar { text, .. } => text.clone(),
                    Content::Null => "null".to_owned(),
                    _ => return Err(Error::new("a key is a text")),
                };
                open.key = Some(key);
            }
            (Content::Map(_), Some(key)) if key == "<<" => open.merged.push(node),
            (Content::Map(pairs), Some(key)) => {
                if pairs.iter().any(|(known, _)| *known == key) {
                    return Err(Error::new(format!("the key `{key}` stands twice")));
                }
                pairs.push((key, node));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Takes the pairs of merge keys that the mapping does not have itself.
fn merge(open: &mut Open) -> Result<(), Error> {
    let Content::Map(pairs) = &mut open.node.content else { return Ok(()) };
    for node in std::mem::take(&mut open.merged) {
        let sources = match node.content {
            Content::List(list) => list,
            _ => vec![node],
        };
        for source in sources {
            let Content::Map(more) = source.content else { return Err(Error::new("`<<` takes a mapping")) };
            for (key, value) in more {
                if !pairs.iter().any(|(known, _)| *known == key) {
                    pairs.push((key, value));
                }
            }
        }
    }
    Ok(())
}

/// Refuses tags of programs: they would change what a node says.
fn check_tag(tag: Option<&Cow<'_, Tag>>) -> Result<(), Error> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => Err(Error::new(format!("the tag `{tag}` is not supported"))),
        _ => Ok(()),
    }
}
