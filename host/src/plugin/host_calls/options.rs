//! `options`: the schema that a driver declares, and the values that it gets.

use wasmtime::{Result, component::Resource};

use crate::{
    config::{AwsSetting, OptionSpec, OptionType, Value, is_scheme},
    error::{Error, Kind},
    plugin::{
        driver::run::OptionValues,
        sandbox::{bindings::alekseylearn::driver::options, state::CallState},
    },
};

impl options::Host for CallState {}

impl CallState {
    fn spec(&mut self, kind: OptionType, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.hold(key.len() + help.len())?;
        Ok(self.push(OptionSpec::new(kind, key, help))?)
    }

    fn spec_of_places(
        &mut self,
        kind: OptionType,
        key: String,
        help: String,
        schemes: Vec<String>,
    ) -> Result<Resource<OptionSpec>> {
        self.hold(
            key.len() + help.len() + schemes.iter().map(|one| size_of_val(one) + one.len()).sum::<usize>(),
        )?;
        if schemes.is_empty() || !schemes.iter().all(|scheme| is_scheme(scheme)) {
            let problem = format!("its option {key} needs valid location schemes, such as `s3`");
            return Err(Error::new(Kind::Plugin, problem).into());
        }
        Ok(self.push(OptionSpec { schemes, ..OptionSpec::new(kind, key, help) })?)
    }
}

impl options::HostOptionSpec for CallState {
    async fn text(&mut self, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.spec(OptionType::Text, key, help)
    }

    async fn integer(&mut self, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.spec(OptionType::Integer, key, help)
    }

    async fn number(&mut self, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.spec(OptionType::Number, key, help)
    }

    async fn boolean(&mut self, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.spec(OptionType::Boolean, key, help)
    }

    async fn entries(&mut self, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.spec(OptionType::Entries, key, help)
    }

    async fn location(
        &mut self,
        key: String,
        help: String,
        schemes: Vec<String>,
    ) -> Result<Resource<OptionSpec>> {
        self.spec_of_places(OptionType::Location, key, help, schemes)
    }

    async fn metrics(&mut self, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.spec(OptionType::Metrics, key, help)
    }

    async fn inputs(
        &mut self,
        key: String,
        help: String,
        schemes: Vec<String>,
    ) -> Result<Resource<OptionSpec>> {
        self.spec_of_places(OptionType::Inputs, key, help, schemes)
    }

    async fn role(&mut self, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.spec(OptionType::Role, key, help)
    }

    async fn aws_profile(&mut self, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.spec(OptionType::Aws(AwsSetting::Profile), key, help)
    }

    async fn aws_region(&mut self, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.spec(OptionType::Aws(AwsSetting::Region), key, help)
    }

    async fn aws_endpoint(&mut self, key: String, help: String) -> Result<Resource<OptionSpec>> {
        self.spec(OptionType::Aws(AwsSetting::Endpoint), key, help)
    }

    async fn require(&mut self, this: Resource<OptionSpec>) -> Result<()> {
        self.get_mut(&this)?.required = true;
        Ok(())
    }

    async fn default(&mut self, this: Resource<OptionSpec>, value: String) -> Result<()> {
        self.hold(value.len())?;
        self.get_mut(&this)?.default = Some(value);
        Ok(())
    }

    async fn choices(&mut self, this: Resource<OptionSpec>, values: Vec<String>) -> Result<()> {
        self.hold(values.iter().map(|value| size_of_val(value) + value.len()).sum())?;
        self.get_mut(&this)?.choices = values;
        Ok(())
    }

    async fn range(
        &mut self,
        this: Resource<OptionSpec>,
        least: Option<i64>,
        most: Option<i64>,
    ) -> Result<()> {
        self.get_mut(&this)?.range = (least, most);
        Ok(())
    }

    async fn secret(&mut self, this: Resource<OptionSpec>) -> Result<()> {
        self.get_mut(&this)?.secret = true;
        Ok(())
    }

    async fn drop(&mut self, this: Resource<OptionSpec>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl options::HostValues for CallState {
    async fn text(&mut self, this: Resource<OptionValues>, key: String) -> Result<Option<String>> {
        Ok(match self.value(&this, &key, "text")? {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        })
    }

    async fn integer(&mut self, this: Resource<OptionValues>, key: String) -> Result<Option<i64>> {
        Ok(match self.value(&this, &key, "integer")? {
            Some(Value::Integer(number)) => Some(number),
            _ => None,
        })
    }

    async fn number(&mut self, this: Resource<OptionValues>, key: String) -> Result<Option<f64>> {
        Ok(match self.value(&this, &key, "number")? {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        })
    }

    async fn boolean(&mut self, this: Resource<OptionValues>, key: String) -> Result<Option<bool>> {
        Ok(match self.value(&this, &key, "boolean")? {
            Some(Value::Boolean(boolean)) => Some(boolean),
            _ => None,
        })
    }

    async fn entries(&mut self, this: Resource<OptionValues>, key: String) -> Result<Vec<(String, String)>> {
        Ok(match self.value(&this, &key, "entries")? {
            Some(Value::Entries(entries)) => entries.into_iter().collect(),
            _ => Vec::new(),
        })
    }

    async fn drop(&mut self, this: Resource<OptionValues>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl CallState {
    /// A value, and a check that the driver reads it with the right function. A wrong key or kind would otherwise
    /// return nothing silently.
    fn value(&self, this: &Resource<OptionValues>, key: &str, reader: &str) -> Result<Option<Value>> {
        let values = self.get(this)?;
        let fault = |problem: String| Error::new(Kind::Plugin, problem);
        if let Some(kind) = values.kind_of(key).map_err(fault)? {
            let right = kind.reader();
            if right != reader {
                return Err(fault(format!(
                    "it reads the option {key} with `{reader}`, but must use `{right}`"
                ))
                .into());
            }
        }
        Ok(values.get(key).cloned())
    }
}
