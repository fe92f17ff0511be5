import Martlet
import MartletPython

/// Contexts whose runtime is Python, by the same ways.
extension Cases {
    private static func openPython(_ martlet: Controller, _ options: Options) async throws -> PythonContext {
        switch options.way {
        case "local": try await martlet.connect(.local, runtime: options.python)
        default: try await martlet.connect(options.ssh(), runtime: options.python)
        }
    }

    /// From nothing to the result of a first call, as ``connect(_:_:)``.
    static func pythonConnect(_ martlet: Controller, _ options: Options) async throws -> Sample {
        var whole = Times()
        var connect = Times()
        for round in -1..<options.count(options.way == "ssh" ? 4 : 10) {
            let begin = ContinuousClock.now
            let context = try await openPython(martlet, options)
            let connected = ContinuousClock.now
            let _: Int = try await context.call("os.getpid")
            let end = ContinuousClock.now
            await context.close()
            guard round >= 0 else { continue }
            whole.add(end - begin)
            connect.add(connected - begin)
        }
        return ["median": whole.median * 1e3, "connect": connect.median * 1e3]
    }

    /// One call after the other, with a number there and back.
    static func pythonCall(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await openPython(martlet, options)
        let count = options.count(3_000)
        var times = Times()
        for value in -500..<count {
            let start = ContinuousClock.now
            let answer: Int = try await context.call("int", value)
            if value >= 0 { times.add(ContinuousClock.now - start) }
            guard answer == value else { throw BenchmarkError("a wrong answer") }
        }
        return times.sample(1e6)
    }

    /// Byte strings of 1 MiB, one way: megabytes a second.
    static func pythonBulk(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await openPython(martlet, options)
        let count = options.count(256)
        let item = [UInt8](repeating: 7, count: 1 << 20)
        var rate = 0.0
        // The first finds the window.
        for count in [min(count, 64), count] {
            let fragment = context.exec(
                """
                count = 0
                for item in channel:
                    count += len(item)
                channel.send(count)
                """, sending: [UInt8].self, receiving: Int.self)
            let start = ContinuousClock.now
            for _ in 0..<count { try await fragment.send(item) }
            fragment.channel.finish()
            guard try await fragment.receive() == count * item.count else { throw BenchmarkError("something was lost") }
            rate = Double(count * item.count) / (ContinuousClock.now - start).inSeconds / 1e6
        }
        return ["rate": rate]
    }
}
