//! The targets and groups of HCL and JSON files, one for each combination of a matrix.

use crate::Error;
use crate::module::{Instance, Module, Settings};
use crate::syntax::{Block, Body};
use crate::target::{ATTRIBUTES, Group, Target};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Targets that one matrix makes at most.
const MAX_MATRIX: usize = 10_000;

/// Groups and targets in their order.
#[derive(Debug, Default)]
pub struct Definitions {
    /// The groups.
    pub groups: Vec<Group>,
    /// The targets.
    pub targets: Vec<Target>,
}

impl Definitions {
    /// Returns a target.
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// Returns a group.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Adds a target, or what it says to the one of its name.
    pub fn add_target(&mut self, target: Target) {
        match self.targets.iter_mut().find(|known| known.name == target.name) {
            Some(known) => known.merge(&target),
            None => self.targets.push(target),
        }
    }

    /// Adds a group, in place of the one of its name.
    pub fn add_group(&mut self, mut group: Group) {
        let mut seen = BTreeSet::new();
        group.targets.retain(|target| seen.insert(target.clone()));
        match self.groups.iter_mut().find(|known| known.name == group.name) {
            Some(known) => *known = group,
            None => self.groups.push(group),
        }
    }
}

/// Tells whether a target may have a name.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match !name.is_empty() && name.bytes().all(valid) {
        true => Ok(()),
        false => Err(Error::new(format!("`{name}` is not a name: letters, digits, _ and - are allowed"))),
    }
}

/// Adds what files say to the definitions.
pub(crate) fn add(files: &[Body], settings: &Settings, definitions: &mut Definitions) -> Result<(), Error> {
    let module = Module::new(files, settings)?;
    module.check_variables()?;
    let (mut instances, mut renamed) = (Vec::new(), BTreeMap::<String, Vec<String>>::new());
    for block in
        files.iter().flat_map(|file| &file.blocks).filter(|block| matches!(block.kind.as_str(), "target" | "group"))
    {
        let made = self::instances(block, &module).map_err(block.place.of())?;
        if block.kind == "target" {
            renamed
                .entry(block.labels[0].clone())
                .or_default()
                .extend(made.iter().map(|instance| instance.name.clone()));
        }
        instances.extend(made);
    }
    module.set_instances(instances);
    for instance in module.instances().iter() {
        match instance.block.kind.as_str() {
            "target" => definitions.add_target(target(instance, &module)?),
            _ => definitions.add_group(group(instance, &module)?),
        }
    }
    module.check_attributes()?;
    for (label, names) in renamed {
        if names.iter().any(|name| *name != label) {
            let description = String::new();
            definitions.add_group(Group { name: label, description, targets: names });
        }
    }
    Ok(())
}

fn instances<'m>(block: &'m Block, module: &Module<'m>) -> Result<Vec<Instance<'m>>, Error> {
    let label = &block.labels[0];
    check_name(label)?;
    let (matrix, name) = (block.body.attribute("matrix"), block.body.attribute("name"));
    if block.kind == "group" {
        block.body.only(&format!("the group `{label}`"), &["targets", "description"], &[])?;
    } else {
        block.body.only(&format!("the target `{label}`"), &ATTRIBUTES, &[])?;
    }
    let Some(matrix) = matrix else {
        return match name {
            Some(_) => Err(Error::new("`name` goes with `matrix`")),
            None => Ok(vec![Instance { name: label.clone(), block, matrix: BTreeMap::new() }]),
        };
    };
    let axes = module.scope(BTreeMap::new()).value(&matrix.expression)?;
    let axes = axes.as_map().map_err(|error| error.within("a matrix is a map of lists"))?.clone();
    let mut combinations = vec![BTreeMap::new()];
    for (axis, values) in axes {
        let values = values.entries().map_err(|error| error.within(&format!("the axis `{axis}` of a matrix")))?;
        if combinations.len().saturating_mul(values.len()) > MAX_MATRIX {
            return Err(Error::new(format!("a matrix of more than {MAX_MATRIX} targets")));
        }
        let wider = values.iter().flat_map(|(_, value)| {
            combinations.iter().map(|combination: &BTreeMap<String, Value>| {
                let mut combination = combination.clone();
                combination.insert(axis.clone(), value.clone());
                combination
            })
        });
        combinations = wider.collect();
    }
    let mut instances: Vec<Instance<'m>> = Vec::new();
    for matrix in combinations {
        let name = match name {
            Some(name) => module.scope(matrix.clone()).value(&name.expression)?.to_text()?,
            None => label.clone(),
        };
        check_name(&name)?;
        if instances.iter().any(|known| known.name == name) {
            return Err(Error::new(format!(
                "the matrix of `{label}` gives two targets the name `{name}`; `name` tells them apart"
            )));
        }
        instances.push(Instance { name, block, matrix });
    }
    Ok(instances)
}

fn target<'m>(instance: &Instance<'m>, module: &Module<'m>) -> Result<Target, Error> {
    let mut target = Target { name: instance.name.clone(), ..Target::default() };
    for attribute in
        instance.block.body.attributes.iter().filter(|known| !matches!(known.name.as_str(), "name" | "matrix"))
    {
        let value = module.attribute(instance, &attribute.name)?.unwrap_or(Value::Null);
        let within = |error: Error| error.within(&format!("`{}` of the target `{}`", attribute.name, instance.name));
        target.set(&attribute.name, &value).map_err(within).map_err(attribute.place.of())?;
    }
    Ok(target)
}

fn group<'m>(instance: &Instance<'m>, module: &Module<'m>) -> Result<Group, Error> {
    let name = &instance.name;
    let Some(targets) = module.attribute(instance, "targets")? else {
        return Err(instance.block.place.error(format!("the group `{name}` has no `targets`")));
    };
    let description = module.attribute(instance, "description")?.map(|text| text.to_text()).transpose();
    let targets = targets.as_list().and_then(|list| list.iter().map(Value::to_text).collect());
    let within = |error: Error| {
        error.within(&format!("the group `{name}`")).at(&instance.block.place.file, instance.block.place.line)
    };
    Ok(Group {
        name: name.clone(),
        description: description.map_err(within)?.unwrap_or_default(),
        targets: targets.map_err(within)?,
    })
}
