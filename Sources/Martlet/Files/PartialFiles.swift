import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What transfers that broke off have left in a folder. It is looked for once, and only where it is asked for.
struct PartialFiles {
    /// From this size on a file that is whole takes along what is left of earlier tries, also where nothing is resumed: to look
    /// for it costs little beside the file.
    static let soughtFrom = 1 << 20

    private var names: [[UInt8]]?

    /// Removes what is left of a file: what is ours, and nobody is at.
    ///
    /// - Parameter part: what stays.
    mutating func remove(of name: [UInt8], but part: [UInt8]? = nil, in folder: Int32) {
        // Of longer names it cannot be told whose they are.
        guard name.count <= FileTarget.partialNameLimit else { return }
        if names == nil { names = namesInFolder(folder).names.filter { FileTarget.isPartialName($0) } }
        guard let names, !names.isEmpty else { return }
        let start = FileTarget.partialName(for: name, [])
        for file in names where file.count == start.count + 16 && file.starts(with: start) {
            if let part, file.elementsEqual(start + part) { continue }
            let descriptor = withPath(file) { openat(folder, $0, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
            guard descriptor >= 0 else { continue }
            defer { closeDescriptor(descriptor) }
            if FileTarget.mayTakePartial(descriptor) { _ = withPath(file) { unlinkat(folder, $0, 0) } }
        }
    }
}
