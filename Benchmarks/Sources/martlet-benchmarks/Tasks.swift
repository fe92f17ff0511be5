import Martlet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The smallest call that carries something both ways.
struct Echo: RemoteTask {
    var value: Int
    func run(in context: RemoteContext) async throws -> Int { value }
}

/// What a process has used so far.
struct Usage: RemoteTask {
    struct Figures: Codable {
        /// Processor time, user's and system's, in microseconds.
        var microseconds: Double
        /// How often a thread of it went to sleep.
        var switches: Double
    }

    func run(in context: RemoteContext) async throws -> Figures { Self.current() }

    static func current() -> Figures {
        var usage = rusage()
        _ = getrusage(.init(0), &usage)  // RUSAGE_SELF, whose type differs from one libc to the other
        let time = { (time: timeval) in Double(time.tv_sec) * 1e6 + Double(time.tv_usec) }
        return Figures(microseconds: time(usage.ru_utime) + time(usage.ru_stime), switches: Double(usage.ru_nvcsw))
    }
}
