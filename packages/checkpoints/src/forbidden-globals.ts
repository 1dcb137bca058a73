import type { PickleGlobal } from "./pickle-values.js";

/**
 * Python modules that no checkpoint names and attacks do. Nothing in a pickle is ever called, so this list protects
 * nobody here: it tells people that the file in their hands would have attacked a program that calls what it names.
 */
const MODULES: ReadonlySet<string> = new Set([
  "os", "posix", "nt", "posixpath", "ntpath", "subprocess", "sys", "shutil", "socket", "ssl", "pty", "runpy", "codeop", "ctypes",
  "importlib", "imp", "pkgutil", "pip", "pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "webbrowser",
  "multiprocessing", "threading", "_thread", "asyncio", "tempfile", "io", "_io", "urllib", "urllib2", "http", "httplib", "requests",
  "ftplib", "smtplib", "telnetlib", "timeit", "cProfile", "pdb", "bdb", "doctest", "sqlite3", "venv", "ensurepip", "distutils",
  "setuptools", "atexit", "faulthandler", "idlelib", "lib2to3",
]);

/** The same, of names that are also likely for folders of people's own programs: only what lies in them directly. */
const PLAIN_MODULES: ReadonlySet<string> = new Set(["code", "commands", "trace", "profile", "signal", "platform", "inspect", "gc"]);

const BUILTINS: ReadonlySet<string> = new Set(["builtins", "__builtin__", "__builtins__"]);

/** Built-in functions that run or open what they are given; `set`, `getattr` and the like stand in honest checkpoints. */
const FUNCTIONS: ReadonlySet<string> = new Set([
  "eval", "exec", "execfile", "compile", "open", "__import__", "input", "raw_input", "apply", "breakpoint", "globals", "locals", "vars", "setattr",
  "delattr", "exit", "quit", "help", "reload", "file",
]);

/** Functions of other honest modules that run code or read files when they are called. */
const PATHS: ReadonlySet<string> = new Set([
  "torch.load", "torch.hub.load", "torch.jit.load", "torch.serialization.load", "torch.ops.load_library", "torch.utils.cpp_extension.load_inline",
  "torch.utils.collect_env.run", "numpy.load", "numpy.testing._private.utils.runstring", "joblib.load", "types.FunctionType", "types.CodeType",
  "operator.methodcaller", "functools.reduce",
]);

/** Whether a name is one that only an attack has a use for. */
export function isForbidden({ module, name, path }: PickleGlobal): boolean {
  const [top = ""] = module.split(".");
  if (MODULES.has(top) || PLAIN_MODULES.has(module) || PATHS.has(path)) return true;
  return BUILTINS.has(module) && FUNCTIONS.has(name.split(".")[0]!);
}
