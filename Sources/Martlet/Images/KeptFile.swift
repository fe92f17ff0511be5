/// A file of this process's own image, held open because its name was removed: contexts below are started from it.
struct KeptFile: Sendable {
    /// As the image calls it: `image`, or a library's name.
    var name: String
    /// For reading, close-on-exec; nobody closes it, since a child may be wanted as long as the process lives.
    var descriptor: Int32
}
