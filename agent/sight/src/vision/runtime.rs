//! ONNX Runtime: loading its shared library and running one model. The only file that names `ort`.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use kakou_time::Stopwatch;
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{PrimitiveTensorElementType, TensorRef, ValueType};

use super::memory;

/// What can go wrong with the runtime or a model, each with the file or the model it concerns.
/// `Run` concerns one run: the next one may go well. All others concern the model or the library
/// itself.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error(
        "ONNX Runtime cannot be loaded from {path}: {reason}; fetch it with `make models`, or name it by [vision] runtime or KAKOU_ONNXRUNTIME"
    )]
    Load { path: PathBuf, reason: String },
    #[error("ONNX Runtime is already loaded from {loaded}; this process cannot also load {path}")]
    Twice { loaded: PathBuf, path: PathBuf },
    #[error("model {model}: cannot open {path}: {reason}")]
    Open {
        model: String,
        path: PathBuf,
        reason: String,
    },
    #[error("model {model}: {reason}")]
    Run { model: String, reason: String },
    #[error(
        "execution provider `{provider}` is not built into this kakou; rebuild it with `cargo build --release --features {provider}`, or set [vision] provider = \"cpu\""
    )]
    ProviderNotBuilt { provider: Provider },
    #[error(
        "execution provider `{provider}` cannot be used: {reason}; name an ONNX Runtime library that was built with it ({library} was not), or set [vision] provider = \"cpu\""
    )]
    ProviderNotThere {
        provider: Provider,
        library: PathBuf,
        reason: String,
    },
}

/// Longest side of a model's input that is believed; a damaged file may claim any.
const LARGEST_SIDE: i64 = 16_384;

/// Where a model is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    #[default]
    Cpu,
    Cuda,
    Tensorrt,
    Openvino,
    Coreml,
    Rknpu,
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
            Self::Openvino => "openvino",
            Self::Coreml => "coreml",
            Self::Rknpu => "rknpu",
        })
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        [Self::Cpu, Self::Cuda, Self::Tensorrt, Self::Openvino, Self::Coreml, Self::Rknpu]
            .into_iter()
            .find(|p| p.to_string() == s)
            .ok_or_else(|| {
                format!("`{s}` is no execution provider; there are cpu, cuda, tensorrt, openvino, coreml, rknpu")
            })
    }
}

/// The loaded library. One per process: ONNX Runtime keeps a global environment.
#[derive(Clone)]
pub struct Runtime {
    env: Environment,
    library: PathBuf,
}

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Loads `libonnxruntime` from `library`; a second call with the same path returns the same
    /// runtime.
    pub fn load(library: &Path) -> Result<Self, RuntimeError> {
        let mut loaded = LOADED.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(rt) = loaded.as_ref() {
            if rt.library != library {
                return Err(RuntimeError::Twice {
                    loaded: rt.library.clone(),
                    path: library.into(),
                });
            }
            return Ok(rt.clone());
        }
        let err = |reason: String| RuntimeError::Load {
            path: library.into(),
            reason,
        };
        if !library.is_file() {
            return Err(err("there is no such file".into()));
        }
        memory::give_large_blocks_back();
        let env = ort::init_from(library)
            .map_err(|e| err(e.to_string()))?
            .with_telemetry(false)
            .build()
            .map_err(|e| err(e.to_string()))?;
        env.set_log_level(ort::logging::LogLevel::Error);
        let rt = Self {
            env,
            library: library.into(),
        };
        *loaded = Some(rt.clone());
        Ok(rt)
    }

    /// Opens one model. `threads` is the number of threads one run may use. `exact`: processors
    /// without VNNI add the products of 8-bit models in 16 bits, which overflow; they take a slower
    /// way that does not. On others it changes nothing.
    pub fn open(
        &self,
        name: &str,
        path: &Path,
        threads: usize,
        provider: Provider,
        exact: bool,
    ) -> Result<Net, RuntimeError> {
        let err = |reason: String| RuntimeError::Open {
            model: name.into(),
            path: path.into(),
            reason,
        };
        let bytes = std::fs::read(path).map_err(|e| err(e.to_string()))?;
        let mut builder = self.builder(threads).map_err(err)?;
        if exact {
            builder = builder
                .with_config_entry("session.x64quantprecision", "1")
                .map_err(|e| err(e.to_string()))?;
        }
        builder = self.with_provider(builder, provider, threads.max(1))?;
        let session = builder
            .commit_from_memory(&bytes)
            .map_err(|e| err(e.to_string()))?;
        let input = session
            .inputs()
            .first()
            .map(|i| i.name().to_owned())
            .ok_or_else(|| err("it has no input".into()))?;
        let dims = match session.inputs()[0].dtype() {
            ValueType::Tensor { shape, .. } if shape.iter().any(|n| *n > LARGEST_SIDE) => {
                let reason = format!("its input {shape:?} is larger than any picture");
                return Err(err(reason));
            }
            ValueType::Tensor { shape, .. } => shape.to_vec(),
            other => return Err(err(format!("its input is no tensor but {other:?}"))),
        };
        let outputs = session
            .outputs()
            .iter()
            .map(|o| o.name().to_owned())
            .collect();
        Ok(Net {
            session,
            name: name.into(),
            input,
            dims,
            outputs,
            spent: Duration::ZERO,
            runs: 0,
        })
    }

    fn builder(&self, threads: usize) -> Result<SessionBuilder, String> {
        let b = Session::builder(&self.env).map_err(|e| e.to_string())?;
        let b = b
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(|e| e.to_string())?;
        let b = b
            .with_intra_threads(threads.max(1))
            .map_err(|e| e.to_string())?;
        // A thread that spins while it waits takes the core that the decoder needs.
        let b = b.with_intra_op_spinning(false).map_err(|e| e.to_string())?;
        b.with_inter_threads(1).map_err(|e| e.to_string())
    }

    fn with_provider(
        &self,
        builder: SessionBuilder,
        provider: Provider,
        #[cfg_attr(not(feature = "openvino"), allow(unused_variables))] threads: usize,
    ) -> Result<SessionBuilder, RuntimeError> {
        #[allow(unused_mut)]
        let mut dispatch: Option<ort::ep::ExecutionProviderDispatch> = None;
        match provider {
            // Without an arena a session gives its memory back after each run, for the next model
            // to use. With one, each of them keeps the most it ever needed.
            Provider::Cpu => {
                let cpu = ort::ep::CPU::default().with_arena_allocator(false).build();
                return builder.with_execution_providers([cpu]).map_err(|e| {
                    RuntimeError::ProviderNotThere {
                        provider,
                        library: self.library.clone(),
                        reason: e.to_string(),
                    }
                });
            }
            #[cfg(feature = "cuda")]
            Provider::Cuda => dispatch = Some(ort::ep::CUDA::default().build()),
            #[cfg(feature = "tensorrt")]
            Provider::Tensorrt => dispatch = Some(ort::ep::TensorRT::default().build()),
            #[cfg(feature = "openvino")]
            Provider::Openvino => {
                // By itself it takes every core for each run.
                let openvino = ort::ep::OpenVINO::default()
                    .with_device_type("CPU")
                    .with_num_threads(threads);
                dispatch = Some(openvino.build());
            }
            #[cfg(feature = "coreml")]
            Provider::Coreml => dispatch = Some(ort::ep::CoreML::default().build()),
            #[cfg(feature = "rknpu")]
            Provider::Rknpu => dispatch = Some(ort::ep::RKNPU::default().build()),
            #[allow(unreachable_patterns)]
            _ => {}
        }
        let Some(dispatch) = dispatch else {
            return Err(RuntimeError::ProviderNotBuilt { provider });
        };
        // Without this, ONNX Runtime falls back to the CPU and says nothing.
        builder
            .with_execution_providers([dispatch.error_on_failure()])
            .map_err(|e| RuntimeError::ProviderNotThere {
                provider,
                library: self.library.clone(),
                reason: e.to_string(),
            })
    }
}

/// One opened model. Running needs exclusive access: a `Net` belongs to one thread at a time.
pub struct Net {
    session: Session,
    name: String,
    input: String,
    dims: Vec<i64>,
    outputs: Vec<String>,
    spent: Duration,
    runs: u64,
}

/// One output: its shape and its values.
pub(super) type Output<'a> = (&'a [i64], &'a [f32]);

impl Net {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The input's shape as the model declares it; -1 where any size will do.
    pub fn input_dims(&self) -> &[i64] {
        &self.dims
    }

    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// Wall time spent inside bare model runs so far, and their number.
    pub fn spent(&self) -> (Duration, u64) {
        (self.spent, self.runs)
    }

    pub fn error(&self, reason: impl Into<String>) -> RuntimeError {
        RuntimeError::Run {
            model: self.name.clone(),
            reason: reason.into(),
        }
    }

    /// Runs on 32-bit floats or bytes, whichever the model takes; `read` sees the outputs in the
    /// model's order.
    pub fn run<T, R>(
        &mut self,
        shape: &[i64],
        data: &[T],
        read: impl FnOnce(&[Output<'_>]) -> R,
    ) -> Result<R, RuntimeError>
    where
        T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
    {
        let model = self.name.clone();
        let err = |e: ort::Error| RuntimeError::Run {
            model: model.clone(),
            reason: e.to_string(),
        };
        let tensor = TensorRef::from_array_view((shape.to_vec(), data)).map_err(err)?;
        let watch = Stopwatch::start();
        let outputs = self
            .session
            .run(ort::inputs![self.input.as_str() => tensor])
            .map_err(err)?;
        self.spent += watch.elapsed();
        self.runs += 1;
        let mut views: Vec<Output<'_>> = Vec::with_capacity(self.outputs.len());
        for name in &self.outputs {
            let value = &outputs[name.as_str()];
            let (shape, data) = value.try_extract_tensor::<f32>().map_err(err)?;
            views.push((shape, data));
        }
        Ok(read(&views))
    }
}
