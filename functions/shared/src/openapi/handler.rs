//! What the types of a handler say.

use super::{Operation, Schemas};

/// What a handler takes: an extractor says which parts of a request it reads, and what it refuses.
pub trait Extracted {
    /// Adds that to the operation.
    fn describe(operation: &mut Operation, schemas: &mut Schemas);
}

/// What a handler answers.
pub trait Answered {
    /// Adds that to the operation.
    fn describe(operation: &mut Operation, schemas: &mut Schemas);
}

/// A handler whose types say what it takes and answers. `Types` are those of its arguments.
pub trait Described<Types> {
    /// Adds that to the operation.
    fn describe(operation: &mut Operation, schemas: &mut Schemas);
}

macro_rules! described {
    ($($argument:ident)*) => {
        impl<F, Future, $($argument),*> Described<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Future,
            Future: std::future::Future<Output: Answered>,
            $($argument: Extracted,)*
        {
            fn describe(operation: &mut Operation, schemas: &mut Schemas) {
                $($argument::describe(operation, schemas);)*
                Future::Output::describe(operation, schemas);
            }
        }
    };
}

described!();
described!(A);
described!(A B);
described!(A B C);
described!(A B C D);
described!(A B C D E);
described!(A B C D E G);

macro_rules! answered {
    ($($part:ident)*) => {
        impl<$($part: Answered),*> Answered for ($($part,)*) {
            fn describe(operation: &mut Operation, schemas: &mut Schemas) {
                $($part::describe(operation, schemas);)*
            }
        }
    };
}

answered!(A B);
answered!(A B C);
answered!(A B C D);
