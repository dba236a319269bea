//! What the decoder needs of a GPU.

use crate::{
    Error,
    kv::KvType,
    layout::{self, Plain},
    model::WeightType,
};

/// A product's place in a step, in the order of the kernels' own list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Qkv,
    Output,
    Up,
    Down,
    Head,
}

impl Stage {
    /// As the kernels call it.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }
}

/// A kernel, by its name in the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    Begin,
    Fill,
    Quantise,
    Norm,
    /// Keys and values of all tokens, for steps with several of a sequence.
    Store,
    Attention {
        /// For more items than multiprocessors.
        many: bool,
    },
    Chunks,
    Candidates,
    /// For one token, or for up to eight at a time; with Q6_K among the weights, or without.
    Product {
        stage: Stage,
        one: bool,
        six: bool,
    },
    /// Products of a step of many rows with weights of one type, all plain ones alike.
    Many {
        weights: WeightType,
    },
    /// The lists of experts' tokens, in such a step.
    Slots,
}

/// One launch.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    pub kernel: Kernel,
    pub grid: [u32; 3],
    pub threads: u32,
    pub shared_bytes: u32,
    /// Whether it may begin while the kernel before ends. Those that may wait by themselves.
    pub overlaps: bool,
    pub parameters: &'a [Parameter<'a>],
}

/// What a kernel takes, in its order.
#[derive(Debug, Clone, Copy)]
pub enum Parameter<'a> {
    Step(&'a layout::Step),
    Layer(&'a layout::Layer),
    Rows(&'a layout::Rows),
    Fill(&'a layout::Fill),
    Address(&'a u64),
    Number(&'a u32),
}

impl Parameter<'_> {
    /// Where its bytes are.
    #[must_use]
    pub fn pointer(self) -> *const u8 {
        match self {
            Self::Step(step) => std::ptr::from_ref(step).cast(),
            Self::Layer(layer) => std::ptr::from_ref(layer).cast(),
            Self::Rows(rows) => std::ptr::from_ref(rows).cast(),
            Self::Fill(fill) => std::ptr::from_ref(fill).cast(),
            Self::Address(address) => std::ptr::from_ref(address).cast(),
            Self::Number(number) => std::ptr::from_ref(number).cast(),
        }
    }
}

/// Memory and launches. Addresses are the device's; everything is freed with the device.
pub trait Device {
    fn multiprocessors(&self) -> u32;

    /// What its kernels round keys and values to.
    fn kv_type(&self) -> KvType;

    /// Shared memory that a block may have.
    fn shared_bytes(&self) -> u32;

    /// Memory that is free.
    ///
    /// # Errors
    /// What the driver says.
    fn free_bytes(&self) -> Result<usize, Error>;

    /// Memory in all, free or not; none where that is not known.
    fn total_bytes(&self) -> Option<usize> {
        None
    }

    /// # Errors
    /// [`Error::OutOfMemory`], or what the driver says.
    fn allocate(&self, bytes: usize) -> Result<u64, Error>;

    /// Gives back what [`Self::allocate`] gave; nothing may use it any more.
    fn free(&self, at: u64);

    /// # Errors
    /// What the driver says.
    fn write_bytes(&self, at: u64, bytes: &[u8]) -> Result<(), Error>;

    /// The same for much: whole weights.
    ///
    /// # Errors
    /// What the driver says.
    fn upload_bytes(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        self.write_bytes(at, bytes)
    }

    /// Waits for what was launched, then reads.
    ///
    /// # Errors
    /// What the driver says, of earlier launches too.
    fn read_bytes(&self, at: u64, bytes: &mut [u8]) -> Result<(), Error>;

    /// Copies on the device, in order with launches.
    ///
    /// # Errors
    /// What the driver says.
    fn copy_bytes(&self, from: u64, to: u64, bytes: usize) -> Result<(), Error>;

    /// # Errors
    /// What the driver says.
    fn launch(&self, launch: &Launch<'_>) -> Result<(), Error>;

    /// What `launches` launches, which is the same each time for one `key`: a device may keep it as a graph.
    ///
    /// # Errors
    /// As [`Self::launch`].
    fn replay(&self, key: u64, launches: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), Error> {
        let _ = key;
        launches()
    }

    /// Forgets what [`Self::replay`] has kept.
    fn forget_replays(&self) {}

    /// Makes the device that of the calling thread: to be called before the others by a thread that did not open it.
    ///
    /// # Errors
    /// What the driver says.
    fn enter(&self) -> Result<(), Error> {
        Ok(())
    }

    /// # Errors
    /// As [`Self::write_bytes`].
    fn write<T: Plain>(&self, at: u64, values: &[T]) -> Result<(), Error> {
        self.write_bytes(at, layout::bytes_of(values))
    }

    /// # Errors
    /// As [`Self::read_bytes`].
    fn read<T: Plain + Default>(&self, at: u64, count: usize) -> Result<Vec<T>, Error> {
        let mut values = vec![T::default(); count];
        self.read_bytes(at, layout::bytes_of_mut(&mut values))?;
        Ok(values)
    }

    /// # Errors
    /// As [`Self::allocate`] and [`Self::write_bytes`].
    fn place<T: Plain>(&self, values: &[T]) -> Result<u64, Error> {
        let at = self.allocate(size_of_val(values))?;
        self.write(at, values)?;
        Ok(at)
    }
}

impl<D: Device> Device for &D {
    fn multiprocessors(&self) -> u32 {
        (**self).multiprocessors()
    }

    fn kv_type(&self) -> KvType {
        (**self).kv_type()
    }

    fn shared_bytes(&self) -> u32 {
        (**self).shared_bytes()
    }

    fn free_bytes(&self) -> Result<usize, Error> {
        (**self).free_bytes()
    }

    fn total_bytes(&self) -> Option<usize> {
        (**self).total_bytes()
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        (**self).allocate(bytes)
    }

    fn free(&self, at: u64) {
        (**self).free(at);
    }

    fn write_bytes(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        (**self).write_bytes(at, bytes)
    }

    fn upload_bytes(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        (**self).upload_bytes(at, bytes)
    }

    fn read_bytes(&self, at: u64, bytes: &mut [u8]) -> Result<(), Error> {
        (**self).read_bytes(at, bytes)
    }

    fn copy_bytes(&self, from: u64, to: u64, bytes: usize) -> Result<(), Error> {
        (**self).copy_bytes(from, to, bytes)
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), Error> {
        (**self).launch(launch)
    }

    fn replay(&self, key: u64, launches: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), Error> {
        (**self).replay(key, launches)
    }

    fn forget_replays(&self) {
        (**self).forget_replays();
    }

    fn enter(&self) -> Result<(), Error> {
        (**self).enter()
    }
}
