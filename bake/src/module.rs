//! The definitions of all HCL and JSON files together, and the names that their expressions may use.

use crate::Error;
use crate::evaluate::{Names, Scope, check_count};
use crate::functions::{self, Facts};
use crate::syntax::{Attribute, Block, Body};
use crate::target::Target;
use crate::types::Type;
use crate::value::Value;
use crate::variable;
use hcl_edit::expr::Expression;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// How deep functions of the file may call one another.
const MAX_CALLS: usize = 32;

/// Attributes whose elements are objects, even where they were written as texts.
const LISTS_OF_ENTRIES: [&str; 6] = ["attest", "cache-from", "cache-to", "output", "secret", "ssh"];

/// Values from outside.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The environment, with what `--var` says in place of it.
    pub environment: BTreeMap<String, String>,
    /// Variables that every file has: `BAKE_CMD_CONTEXT`, `BAKE_LOCAL_PLATFORM`.
    pub built_in: BTreeMap<String, String>,
    /// Values of functions.
    pub facts: Facts,
}

/// A target or group of a file; a block with a matrix gives several.
pub(crate) struct Instance<'m> {
    /// Its name.
    pub name: String,
    /// The block.
    pub block: &'m Block,
    /// The names of the matrix.
    pub matrix: BTreeMap<String, Value>,
}

/// The definitions of the files.
pub(crate) struct Module<'m> {
    settings: &'m Settings,
    variables: BTreeMap<&'m str, &'m Block>,
    attributes: BTreeMap<&'m str, &'m Attribute>,
    functions: BTreeMap<&'m str, &'m Block>,
    instances: RefCell<Vec<Instance<'m>>>,
    done: RefCell<BTreeMap<String, Value>>,
    running: RefCell<BTreeSet<String>>,
    calls: RefCell<Vec<String>>,
    count: Cell<usize>,
}

impl<'m> Module<'m> {
    /// Collects the definitions of files; of several with one name the last counts.
    pub(crate) fn new(files: &'m [Body], settings: &'m Settings) -> Result<Self, Error> {
        let (mut variables, mut attributes, mut functions) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let is_reserved = |name: &str| is_kind(name) || settings.built_in.contains_key(name);
        for block in files.iter().flat_map(|file| &file.blocks) {
            let Block { kind, labels, place, .. } = block;
            let [label] = labels.as_slice() else {
                return Err(place.error(format!("a block `{kind}` needs one name, as in {kind} \"app\" {{…}}")));
            };
            match kind.as_str() {
                "variable" if !is_reserved(label) => drop(variables.insert(label.as_str(), block)),
                "function" => drop(functions.insert(label.as_str(), block)),
                "variable" | "target" | "group" => {}
                other => {
                    let known = "variable, function, target and group are";
                    return Err(place.error(format!("a block `{other}` is not known; {known}")));
                }
            }
        }
        for attribute in files.iter().flat_map(|file| &file.attributes) {
            if is_kind(&attribute.name) {
                return Err(attribute.place.error(format!("`{}` is a block, not an attribute", attribute.name)));
            }
            attributes.insert(attribute.name.as_str(), attribute);
        }
        Ok(Module {
            settings,
            variables,
            attributes,
            functions,
            instances: RefCell::default(),
            done: RefCell::default(),
            running: RefCell::default(),
            calls: RefCell::default(),
            count: Cell::default(),
        })
    }

    /// Returns a scope without names of its own.
    pub(crate) fn scope(&self, own: BTreeMap<String, Value>) -> Scope<'_> {
        Scope { names: self, outer: None, own }
    }

    /// Evaluates all variables and checks them.
    pub(crate) fn check_variables(&self) -> Result<(), Error> {
        for (name, block) in &self.variables {
            self.variable(name)?;
            variable::check(name, block)?;
        }
        self.variables
            .iter()
            .try_for_each(|(name, block)| variable::validate(name, block, &self.scope(BTreeMap::new())))
    }

    /// Evaluates the attributes that stand outside of blocks.
    pub(crate) fn check_attributes(&self) -> Result<(), Error> {
        self.attributes.keys().try_for_each(|name| self.variable(name).map(drop))
    }

    /// Sets the targets and groups that expressions may look at.
    pub(crate) fn set_instances(&self, instances: Vec<Instance<'m>>) {
        *self.instances.borrow_mut() = instances;
    }

    /// Returns what was set.
    pub(crate) fn instances(&self) -> std::cell::Ref<'_, Vec<Instance<'m>>> {
        self.instances.borrow()
    }

    /// Returns the attribute of an instance, evaluated once; `None` if the block does not set it.
    pub(crate) fn attribute(&self, instance: &Instance<'m>, name: &str) -> Result<Option<Value>, Error> {
        let Some(attribute) = instance.block.body.attribute(name) else { return Ok(None) };
        let key = format!("{}.{}.{name}#{:p}", instance.block.kind, instance.name, instance.block);
        let place = || format!("`{}.{}.{name}`", instance.block.kind, instance.name);
        let value = self.once(&key, &place(), || self.scope(instance.matrix.clone()).value(&attribute.expression));
        value.map(Some).map_err(attribute.place.of())
    }

    /// Computes a value once, and refuses one that needs itself.
    fn once(&self, key: &str, name: &str, compute: impl FnOnce() -> Result<Value, Error>) -> Result<Value, Error> {
        if let Some(value) = self.done.borrow().get(key) {
            return Ok(value.clone());
        }
        if !self.running.borrow_mut().insert(key.to_owned()) {
            return Err(Error::new(format!("{name} refers to itself")));
        }
        let value = compute();
        self.running.borrow_mut().remove(key);
        let value = value?;
        self.done.borrow_mut().insert(key.to_owned(), value.clone());
        Ok(value)
    }

    fn user_function(&self, name: &str, block: &Block, arguments: Vec<Value>) -> Result<Value, Error> {
        block
            .body
            .only("a function", &["params", "variadic_params", "result", "description"], &[])
            .map_err(block.place.of())?;
        let missing = |what: &str| block.place.error(format!("the function `{name}` has no `{what}`"));
        let params = block.body.attribute("params").ok_or_else(|| missing("params"))?;
        let result = block.body.attribute("result").ok_or_else(|| missing("result"))?;
        let word = |expression: &Expression| match expression {
            Expression::Variable(name) => Ok(name.as_str().to_owned()),
            Expression::String(name) => Ok(name.as_str().to_owned()),
            _ => Err(block.place.error(format!("the function `{name}`: each parameter is a name"))),
        };
        let Expression::Array(names) = &params.expression else {
            return Err(block.place.error(format!("the function `{name}`: params is a list of names")));
        };
        let names = names.iter().map(word).collect::<Result<Vec<_>, _>>()?;
        let variadic =
            block.body.attribute("variadic_params").map(|attribute| word(&attribute.expression)).transpose()?;
        if arguments.len() < names.len() || arguments.len() > names.len() && variadic.is_none() {
            return Err(Error::new(format!("{name}: {} arguments are expected, not {}", names.len(), arguments.len())));
        }
        let mut arguments = arguments.into_iter();
        let mut own: BTreeMap<String, Value> = names.into_iter().zip(arguments.by_ref()).collect();
        variadic.map(|variadic| own.insert(variadic, Value::List(arguments.collect())));
        if self.calls.borrow().iter().any(|running| running == name) || self.calls.borrow().len() >= MAX_CALLS {
            return Err(Error::new(format!("the function `{name}` calls itself, or functions call too deep")));
        }
        self.calls.borrow_mut().push(name.to_owned());
        let value = self.scope(own).value(&result.expression);
        self.calls.borrow_mut().pop();
        value.map_err(|error| error.within(&format!("the function `{name}`")))
    }
}

/// Tells whether a word is a kind of blocks that expressions may look at.
fn is_kind(name: &str) -> bool {
    matches!(name, "target" | "group")
}

/// Returns the type that an attribute of a block has.
fn type_of(attribute: &str) -> Type {
    let text = || Box::new(Type::Text);
    match attribute {
        "args" | "labels" | "contexts" | "extra-hosts" => Type::Map(text()),
        "tags" | "platforms" | "inherits" | "annotations" | "no-cache-filter" | "ulimits" | "entitlements"
        | "targets" => Type::List(text()),
        "pull" | "no-cache" => Type::Bool,
        "resources" => Type::Any,
        _ => Type::Text,
    }
}

impl Names for Module<'_> {
    fn variable(&self, name: &str) -> Result<Value, Error> {
        if let Some(value) = self.settings.built_in.get(name) {
            return Ok(Value::text(value));
        }
        let key = format!("variable {name}");
        match (self.attributes.get(name), self.variables.get(name)) {
            (Some(attribute), _) => {
                let compute = || match self.scope(BTreeMap::new()).value(&attribute.expression)? {
                    // A block of the same name lets the environment have its say.
                    value if self.variables.contains_key(name) => {
                        variable::overridden(name, value, &Type::Any, false, self.settings)
                    }
                    value => Ok(value),
                };
                self.once(&key, &format!("`{name}`"), compute).map_err(attribute.place.of())
            }
            (None, Some(block)) => {
                let compute = || variable::value(name, block, &self.scope(BTreeMap::new()), self.settings);
                self.once(&key, &format!("the variable `{name}`"), compute).map_err(block.place.of())
            }
            (None, None) => {
                let hint = match self.settings.environment.contains_key(name) {
                    true => format!("; the environment has it: declare it with variable \"{name}\" {{}}"),
                    false => String::new(),
                };
                Err(Error::new(format!("there is no variable `{name}`{hint}")))
            }
        }
    }

    fn block(&self, kind: &str, name: Option<&str>, attribute: Option<&str>) -> Result<Option<Value>, Error> {
        if !is_kind(kind) {
            return Ok(None);
        }
        let Some(name) = name else {
            return Err(Error::new(format!("`{kind}` is not a variable; {kind}.NAME.ATTRIBUTE is expected")));
        };
        let instances = self.instances.borrow();
        let found = instances.iter().rev().find(|instance| instance.block.kind == kind && instance.name == name);
        let Some(instance) = found else {
            return Err(Error::new(format!("there is no {kind} `{name}` that an expression could look at here")));
        };
        let value = |attribute: &str| match self.attribute(instance, attribute)? {
            Some(value) if LISTS_OF_ENTRIES.contains(&attribute) => {
                let mut target = Target::default();
                target.set(attribute, &value)?;
                Ok(target.entries(attribute))
            }
            Some(value) => type_of(attribute).convert(value),
            None => Ok(Value::Null),
        };
        match attribute {
            Some("name") => Ok(Some(Value::text(name))),
            Some(attribute) => value(attribute).map(Some),
            None => {
                let names = instance.block.body.attributes.iter().map(|attribute| attribute.name.as_str());
                let shown = names.filter(|name| !matches!(*name, "name" | "matrix"));
                let map = shown.map(|name| Ok((name.to_owned(), value(name)?))).collect::<Result<_, Error>>()?;
                Ok(Some(Value::Map(map)))
            }
        }
    }

    fn call(&self, name: &str, arguments: Vec<Value>) -> Result<Value, Error> {
        if let Some(result) = functions::call(name, &arguments, &self.settings.facts) {
            let value = result?;
            self.count(size(&value))?;
            return Ok(value);
        }
        match self.functions.get(name) {
            Some(block) => self.user_function(name, block, arguments),
            None => Err(Error::new(format!("there is no function `{name}`"))),
        }
    }

    fn count(&self, values: usize) -> Result<(), Error> {
        self.count.set(self.count.get().saturating_add(values));
        check_count(self.count.get())
    }
}

/// Returns how many values a value counts for.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => 1 + text.len() / 64,
        Value::List(list) => 1 + list.iter().map(size).sum::<usize>(),
        Value::Map(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}
