package import Martlet

extension Context {
    /// The number of the process that the context is.
    package var processID: Int32 { facts.processID }
}
