import Martlet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The three descriptors that whoever started us should have given us.
enum StandardStreams {
    /// Has no other file become one of them: where one is closed, what uses it fails as it would.
    static func fill() {
        for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest that is free: this one. It is open for what nobody does with it.
            _ = open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY)
        }
    }

    /// What `print` could not write is an error as well.
    static func checkAtExit() {
        atexit {
            guard fflush(nil) != 0, errno != EPIPE else { return }
            StandardStreams.tellFailure(errno)
            _exit(ExitStatus.failed)
        }
    }

    static func tellFailure(_ error: Int32) {
        let line = "martlet: cannot write to standard output: \(SystemCalls.errorText(error))\n"
        writeAll(Array(line.utf8), to: 2)
    }
}
