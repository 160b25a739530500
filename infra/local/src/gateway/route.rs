//! Which function a request belongs to, by the routes that the template declares.

use template::Function;

use super::Callee;

/// The routes of all functions.
#[derive(Debug, Clone, Default)]
pub struct Table(Vec<Route>);

#[derive(Debug, Clone)]
struct Route {
    method: String,
    /// The path's parts; none is a parameter, which any text but the empty one fits.
    parts: Vec<Option<String>>,
    callee: Callee,
}

impl Table {
    /// The routes of these functions, without the API's default one.
    pub fn new(functions: &[Function]) -> Self {
        let routes = functions.iter().flat_map(|function| {
            let callee = Callee { function: function.name.clone(), timeout: function.timeout };
            let paths = function.routes.iter().filter(|(_, path)| path.starts_with('/'));
            paths.map(move |(method, path)| Route {
                method: method.clone(),
                parts: path
                    .split('/')
                    .map(|part| (!part.starts_with('{')).then(|| part.to_owned()))
                    .collect(),
                callee: callee.clone(),
            })
        });
        Self(routes.collect())
    }

    /// Whoever has the route. As on AWS, a literal path takes precedence over one with parameters.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<&Callee> {
        let parts: Vec<_> = path.split('/').collect();
        let of_method = self.0.iter().filter(|route| route.method.eq_ignore_ascii_case(method));
        let fitting = of_method.filter(|route| route.fits(&parts));
        let best = fitting.max_by_key(|route| route.parts.iter().filter(|part| part.is_some()).count());
        best.map(|route| &route.callee)
    }
}

impl Route {
    fn fits(&self, parts: &[&str]) -> bool {
        self.parts.len() == parts.len()
            && self.parts.iter().zip(parts).all(|(own, part)| match own {
                Some(own) => own == part,
                None => !part.is_empty(),
            })
    }
}
