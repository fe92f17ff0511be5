import Martlet
import MartletPython

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What `Benchmarks/run` tells a case: pairs of `--name value`.
struct Options: Sendable {
    private var values: [String: String] = [:]

    init(_ arguments: ArraySlice<String>) {
        var rest = arguments
        while let name = rest.popFirst(), let value = rest.popFirst() {
            values[String(name.drop { $0 == "-" })] = value
        }
    }

    /// How often; each case has its own default.
    func count(_ standard: Int) -> Int { values["count"].flatMap { Int($0) } ?? standard }

    /// The alias in the ssh configuration.
    var host: String { values["host"] ?? "clean" }

    /// A directory; what the far cache keeps is in its folder `martlet`.
    var cache: String? { values["cache"] }

    /// How many calls are under way at once.
    var concurrency: [Int] {
        (values["concurrency"] ?? "64,256,1024").split(separator: ",").compactMap { Int($0) }
    }

    /// Where the files lie that are copied.
    var folder: String { values["folder"] ?? "/dev/shm" }

    /// Which way in a case takes that exists for several: `local`, `ssh`, `nested`.
    var way: String { values["way"] ?? "local" }

    /// An alias of the same host, so that connects do not wait for each other at one door.
    func ssh(_ alias: String? = nil) -> SSHConnector { .ssh(alias ?? host, configuration: values["config"]) }

    /// The far interpreter, the same for all.
    var python: PythonRuntime { values["python"].map { .python($0) } ?? .python }

    var martlet: MartletOptions {
        var options = MartletOptions()
        if let image = values["image"] { options.images = .executables([image]) }
        // Where a thousand processes write at once, one may have to wait for a while.
        if let seconds = values["heartbeat"].flatMap({ Int($0) }) { options.heartbeatLimit = .seconds(seconds) }
        return options
    }
}

/// Ends the process.
func exitProcess(_ code: Int32) -> Never {
    fflush(nil)
    exit(code)
}
