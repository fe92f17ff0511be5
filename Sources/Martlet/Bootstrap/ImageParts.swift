/// What has to be at the far side to start an agent: an executable and, if it is dynamically linked, its own libraries.
package struct ImageParts: Sendable, Hashable {
    /// One file of an image.
    package struct Part: Sendable, Hashable {
        /// For a library its soname, which is its file's name at the far side; ignored for the executable.
        package let name: String
        /// The content's hash in lower-case hexadecimal: at most 64 digits.
        package let hash: String
        /// The size before any compression.
        package let byteCount: Int

        /// - Returns: nil if a text could not stand in a shell command or name a file, or the size is not positive.
        package init?(name: String, hash: String, byteCount: Int) {
            guard name.isPlainFileName, hash.isLowercaseHex, hash.utf8.count <= 64, byteCount > 0 else { return nil }
            self.name = name
            self.hash = hash
            self.byteCount = byteCount
        }
    }

    /// Names the whole image by its content: at most 40 lower-case hexadecimal digits.
    package let id: String
    /// Whether the executable needs the system's loader. Such an image cannot be unlinked before it has started.
    package let isDynamic: Bool
    /// The executable first, then the libraries.
    package let parts: [Part]

    /// - Returns: nil if `id` is not a hash, there is no executable, two parts would have one file's name, or a static
    ///   image has libraries.
    package init?(id: String, isDynamic: Bool, parts: [Part]) {
        guard id.isImageID, !parts.isEmpty, isDynamic || parts.count == 1 else { return nil }
        let names = parts.dropFirst().map(\.name)
        guard !names.contains("image"), Set(names).count == names.count else { return nil }
        self.id = id
        self.isDynamic = isDynamic
        self.parts = parts
    }
}

extension String {
    /// Whether the text can name an image in the cache.
    var isImageID: Bool { isLowercaseHex && utf8.count <= 40 }
}
