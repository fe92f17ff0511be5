import CMartlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What an agent does to its process before anything of the user's can run.
enum AgentEnvironment {
    /// What contexts below need to be started.
    struct Inheritance {
        /// The files of an image that has no name any more and cannot be started again without its libraries.
        var kept: [KeptFile] = []
        /// Where the loader was told to look for libraries, if it was.
        var libraryFolder: String?
    }

    /// Removes what the bootstrap needed from the environment, so that programs started here do not get it.
    static func cleanUp() -> Inheritance {
        var libraryFolder: String?
        var kept: [KeptFile] = []
        if let path = getenv("MARTLET_REMOVE").map({ String(cString: $0) }), !path.isEmpty { kept = remove(path) }
        for name in ["MARTLET_AGENT", "MARTLET_REMOVE", "SWIFT_ROOT"] { unsetenv(name) }
        // The bootstrap put the image's folder in front.
        if let libraries = getenv("LD_LIBRARY_PATH").map({ String(cString: $0) }) {
            var parts = libraries.split(separator: ":", omittingEmptySubsequences: false)
            if let first = parts.first, ownDirectory() == first {
                libraryFolder = String(parts.removeFirst())
                if parts.isEmpty {
                    unsetenv("LD_LIBRARY_PATH")
                } else {
                    setenv("LD_LIBRARY_PATH", parts.joined(separator: ":"), 1)
                }
            }
        }
        return Inheritance(kept: kept, libraryFolder: libraryFolder)
    }

    /// A place that could not be removed while the image was starting: the directory and what the bootstrap put there.
    private static func remove(_ path: String) -> [KeptFile] {
        guard let directory = opendir(path) else {
            unlink(path)
            return []
        }
        var kept: [KeptFile] = []
        while let entry = readdir(directory) {
            let start = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
            let name = String(cString: start.assumingMemoryBound(to: CChar.self))
            guard name != ".", name != ".." else { continue }
            let descriptor = open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
            if descriptor >= 0 { kept.append(KeptFile(name: name, descriptor: descriptor)) }
            unlink("\(path)/\(name)")
        }
        closedir(directory)
        rmdir(path)
        if kept.count > 1 { return kept }
        for file in kept { closeDescriptor(file.descriptor) }
        return []
    }

    private static func ownDirectory() -> Substring? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress!, $0.count) }
        guard count > 0 else { return nil }
        let path = String(decoding: buffer[..<count], as: UTF8.self)
        return path.lastIndex(of: "/").map { path[..<$0] }
    }

    /// An image without a name was started through a descriptor that is still open, by the bootstrap's choice 9.
    private static func closeImage() {
        var (image, own) = (stat(), stat())
        guard fstat(9, &image) == 0, stat("/proc/self/exe", &own) == 0, image.st_ino == own.st_ino,
            image.st_dev == own.st_dev
        else { return }
        closeDescriptor(9)
    }

    /// Moves the link away from 0 and 1. Then 0 is empty, 1 is a pipe whose other end is returned; 2 stays: what a crash
    /// writes there reaches the parent even when this process is gone.
    static func moveDescriptors() -> (input: Int32, output: Int32, printed: Int32) {
        closeImage()
        let input = fcntl(0, F_DUPFD_CLOEXEC, 3)
        let output = fcntl(1, F_DUPFD_CLOEXEC, 3)
        guard input >= 0, output >= 0, let pipe = try? Pipe() else { exit(71) }
        let null = open("/dev/null", O_RDONLY)
        if null >= 0 {
            dup2(null, 0)
            closeDescriptor(null)
        } else if let empty = try? Pipe() {
            // A bare root has no devices: an empty pipe reads the same.
            closeDescriptor(empty.writeEnd)
            dup2(empty.readEnd, 0)
            closeDescriptor(empty.readEnd)
        }
        dup2(pipe.writeEnd, 1)
        closeDescriptor(pipe.writeEnd)
        martlet_line_buffer_output()
        return (input, output, pipe.readEnd)
    }
}
