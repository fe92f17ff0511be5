/// An executable that can be sent to a context and started there: static, and with Martlet's runtime for fragments in it.
package struct ProgramImage: Sendable {
    /// A hash of it, or of all that it was made from.
    package var id: String
    /// Where it is.
    package var path: String
    /// In bytes.
    package var byteCount: Int

    package init(id: String, path: String, byteCount: Int) {
        (self.id, self.path, self.byteCount) = (id, path, byteCount)
    }
}

/// What came of a program that was sent.
package struct ImageResult: Sendable {
    package var termination: Termination
    package var duration: Duration
    /// The last lines that it wrote to its standard error.
    package var lastErrors: [String] = []
    /// An error that nobody in it caught.
    package var thrown: (type: String, message: String)?
}
