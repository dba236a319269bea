//! What the decoder needs of a GPU.

use crate::{Error, layout::Plain};

/// A kernel, by its name in the sources. Steps are compiled for so many panels of eight tokens, 0 for one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    Step { panels: u32 },
    Begin,
    Quantise,
    Fill,
}

impl Kernel {
    /// Warps of a block: fewer where the registers of four panels leave room for no more.
    #[must_use]
    pub const fn warps(self) -> u32 {
        match self {
            Self::Step { panels: 4.. } => 8,
            _ => 16,
        }
    }
}

/// One launch.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    pub kernel: Kernel,
    pub grid: [u32; 3],
    /// Threads of a block: of all warps, or of one.
    pub threads: u32,
    pub shared_bytes: u32,
    /// Whether all blocks must be there at once.
    pub cooperative: bool,
    /// The kernel's parameter struct.
    pub parameters: Parameters<'a>,
}

/// The parameter structs of the kernels.
#[derive(Debug, Clone, Copy)]
pub enum Parameters<'a> {
    Step(&'a crate::layout::Step),
    Quantise(&'a crate::layout::Quantise),
    Fill(&'a crate::layout::Fill),
}

/// Memory and launches. Addresses are the device's; everything is freed with the device.
pub trait Device {
    /// Blocks that run at once.
    fn multiprocessors(&self) -> u32;

    /// Shared memory that a block may have.
    fn shared_bytes(&self) -> u32;

    /// # Errors
    /// [`Error::OutOfMemory`], or what the driver says.
    fn allocate(&self, bytes: usize) -> Result<u64, Error>;

    /// Gives back what [`Self::allocate`] gave; nothing may use it any more.
    fn free(&self, at: u64);

    /// # Errors
    /// What the driver says.
    fn write_bytes(&self, at: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Waits for what was launched, then reads.
    ///
    /// # Errors
    /// What the driver says, of earlier launches too.
    fn read_bytes(&self, at: u64, bytes: &mut [u8]) -> Result<(), Error>;

    /// # Errors
    /// What the driver says.
    fn launch(&self, launch: &Launch<'_>) -> Result<(), Error>;

    /// # Errors
    /// As [`Self::write_bytes`].
    fn write<T: Plain>(&self, at: u64, values: &[T]) -> Result<(), Error> {
        self.write_bytes(at, crate::layout::bytes_of(values))
    }

    /// # Errors
    /// As [`Self::read_bytes`].
    fn read<T: Plain + Default>(&self, at: u64, count: usize) -> Result<Vec<T>, Error> {
        let mut values = vec![T::default(); count];
        self.read_bytes(at, crate::layout::bytes_of_mut(&mut values))?;
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
