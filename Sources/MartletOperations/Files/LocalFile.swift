import Martlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Files of this machine, for hosts that are none: else the context copies them.
enum LocalFile {
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failed(path) }
        defer { close(file) }
        var (bytes, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 65_536))
        while true {
            let count = buffer.withUnsafeMutableBytes { readBytes(file, $0.baseAddress!, $0.count) }
            guard count >= 0 else { throw failed(path) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    /// Makes the folders that lead there, and the file.
    static func write(_ bytes: [UInt8], to path: String, _ options: TransferOptions) throws {
        if options.overwrite == .never, access(path, F_OK) == 0 {
            throw MartletError(.fileExists, "\(path) here is there already")
        }
        for (index, character) in path.enumerated() where character == "/" && index > 0 {
            mkdir(String(path.prefix(index)), 0o777)
        }
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, options.mode ?? 0o666)
        guard file >= 0 else { throw failed(path) }
        defer { close(file) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { writeBytes(file, $0.baseAddress! + offset, $0.count - offset) }
            guard count > 0 else { throw failed(path) }
            offset += count
        }
    }

    private static func failed(_ path: String) -> MartletError {
        MartletError(.fileFailed, "\(path): \(SystemError.text(errno))")
    }
}
