import Glibc

/// Reads the small files, links and directories of `/proc`, whose entries may vanish at any moment.
enum ProcFile {
    /// The bytes of a file, or nil if it is gone or not ours to read.
    static func bytes(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        while true {
            var failed = false
            let chunk = [UInt8](unsafeUninitializedCapacity: 16384) { buffer, count in
                let got = read(descriptor, buffer.baseAddress, buffer.count)
                failed = got < 0
                count = max(got, 0)
            }
            if failed { return nil }
            if chunk.isEmpty { return content }
            content += chunk
        }
    }

    /// The text of a file, or nil if it is gone or not ours to read.
    static func text(_ path: String) -> String? {
        bytes(path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The target of a symbolic link, or nil if it is gone or not ours to read.
    static func link(_ path: String) -> String? {
        var failed = false
        let target = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
            let length = buffer.withMemoryRebound(to: CChar.self) { readlink(path, $0.baseAddress!, $0.count) }
            failed = length < 0
            count = max(length, 0)
        }
        return failed ? nil : String(decoding: target, as: UTF8.self)
    }

    /// The entries of a directory that are numbers, such as processes, threads and descriptors.
    static func numbers(in path: String) -> [Int32] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var numbers: [Int32] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let number = Int32(name) { numbers.append(number) }
        }
        return numbers
    }
}
