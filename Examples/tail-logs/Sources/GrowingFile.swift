import Glibc

/// A file that others write to, and that is put aside now and then for a new one of its name.
struct GrowingFile: ~Copyable {
    private let path: String
    private var descriptor: CInt
    private var unfinished: [UInt8] = []
    /// A longer line is taken as it is.
    private static let longestLine = 1 << 20

    /// Begins at its end.
    init(_ path: String) throws(FileError) {
        (self.path, descriptor) = (path, try Self.open(path))
        lseek(descriptor, 0, SEEK_END)
    }

    deinit { close(descriptor) }

    /// The lines that were written since the last time.
    mutating func newLines() throws(FileError) -> [String] {
        var lines = try readLines()
        // What was written to the old one to the last has been read before the new one is.
        if lines.isEmpty, isReplaced {
            let next = try Self.open(path)
            close(descriptor)
            descriptor = next
            lines = takeUnfinished() + (try readLines())
        }
        return lines
    }

    private mutating func readLines() throws(FileError) -> [String] {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let count = read(descriptor, &chunk, chunk.count)
        guard count >= 0 else { throw FileError(path: path, code: errno) }
        unfinished += chunk[..<count]
        guard let end = unfinished.lastIndex(of: 0x0A) else {
            return unfinished.count > Self.longestLine ? takeUnfinished() : []
        }
        defer { unfinished.removeSubrange(...end) }
        return unfinished[..<end].split(separator: 0x0A, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// What was begun, and will not be ended, as a line.
    private mutating func takeUnfinished() -> [String] {
        defer { unfinished = [] }
        return unfinished.isEmpty ? [] : [String(decoding: unfinished, as: UTF8.self)]
    }

    /// Whether another file has its name now, or it was cut to nothing.
    private var isReplaced: Bool {
        var (mine, named) = (stat(), stat())
        // Between the old file and the new one there is none: that one is waited for.
        guard fstat(descriptor, &mine) == 0, stat(path, &named) == 0 else { return false }
        return mine.st_ino != named.st_ino || mine.st_dev != named.st_dev
            || mine.st_size < lseek(descriptor, 0, SEEK_CUR)
    }

    private static func open(_ path: String) throws(FileError) -> CInt {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path: path, code: errno) }
        return descriptor
    }
}

/// Which file cannot be read, and why.
struct FileError: Error, CustomStringConvertible {
    var path: String
    var code: CInt
    var description: String { "\(path): \(String(cString: strerror(code)))" }
}
