import Martlet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension Cases {
    /// From nothing to the result of a first call, as the peers have it: their connect is over only then.
    static func connect(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let outer = options.way == "nested" ? try await martlet.connect(options.ssh()) : nil
        let count = options.count(["ssh", "hops"].contains(options.way) ? 4 : 30)
        var whole = Times()
        var connect = Times()
        var first: Duration?
        for round in -1..<count {
            let begin = ContinuousClock.now
            let context = try await start(martlet, options, through: outer)
            let connected = ContinuousClock.now
            _ = try await context.call(Echo(value: round))
            let end = ContinuousClock.now
            await context.close()
            if first == nil { first = end - begin }
            guard round >= 0 else { continue }
            whole.add(end - begin)
            connect.add(connected - begin)
        }
        return [
            "median": whole.median * 1e3, "connect": connect.median * 1e3, "first": (first ?? .zero).inSeconds * 1e3,
        ]
    }

    private static func start(
        _ martlet: Controller, _ options: Options, through outer: Context?
    ) async throws -> Context {
        switch options.way {
        case "nested": return try await outer!.connect(.local)
        case "sudo": return try await martlet.connect(.sudo())
        case "hops":
            // Each from the one before, as a chain of jump hosts; it ends with its last.
            let hop = try ConnectorSpec(options.ssh()).description
            return try await martlet.connect("\(hop)/\(hop)/\(hop)")
        default: return try await open(martlet, options)
        }
    }

    /// Over ssh to a machine that has never seen the program: its cache is emptied before each.
    static func connectCold(_ martlet: Controller, _ options: Options) async throws -> Sample {
        guard let cache = options.cache else { throw BenchmarkError("connect-cold needs --cache") }
        let broom = try await martlet.connect(.local)
        var times = Times()
        var first: Duration?
        var bytes = 0
        for round in -1..<options.count(3) {
            try await broom.run(executable: "rm", arguments: ["-rf", "\(cache)/martlet"])
            let (context, duration) = try await time {
                let context = try await martlet.connect(options.ssh())
                _ = try await context.call(Echo(value: round))
                return context
            }
            guard !context.timings.wasCached else { throw BenchmarkError("the cache was not empty") }
            bytes = context.timings.bytesSent
            await context.close()
            if first == nil { first = duration }
            if round >= 0 { times.add(duration) }
        }
        return ["median": times.median * 1e3, "first": (first ?? .zero).inSeconds * 1e3, "image": Double(bytes)]
    }

    /// One connect and one call, for what is counted from outside: bytes on the wire.
    static func once(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await open(martlet, options)
        _ = try await context.call(Echo(value: 1))
        return ["image": Double(context.timings.bytesSent), "cached": context.timings.wasCached ? 1 : 0]
    }

    /// A context that does nothing, for who looks at it from outside: a line when it is there, another once it has run a
    /// program (the guard comes with the first); each waits for a line of input.
    static func idle(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await open(martlet, options)
        announce(#"{"agent":\#(context.facts.processID)}"#)
        try await context.run(executable: "/bin/true")
        announce("{}")
        return [:]
    }
}

/// Prints a line for the process that watches this one, and waits until that is ready.
func announce(_ line: String) {
    print(line)
    fflush(nil)
    _ = readLine()
}

/// Why a case could not be measured.
struct BenchmarkError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
