/// A file of this process's own image, held open because its name was removed.
struct KeptFile: Sendable {
    /// As the image calls it: `image`, or a library's name.
    var name: String
    /// Lives as long as the process.
    var descriptor: Int32
}
