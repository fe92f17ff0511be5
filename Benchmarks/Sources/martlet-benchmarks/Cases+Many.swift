import Martlet
import MartletOperations

extension Cases {
    /// A program that does nothing, again and again in one context.
    static func runCommand(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await open(martlet, options)
        var times = Times()
        for round in -10..<options.count(300) {
            let (result, duration) = try await time { try await context.run(executable: "/bin/true") }
            guard result.succeeded else { throw BenchmarkError("true: \(result.termination)") }
            if round >= 0 { times.add(duration) }
        }
        return times.sample(1e3)
    }

    /// A command as operations run it: settings, shell, live lines, result.
    static func operation(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await open(martlet, options)
        return try await withOperations(on: martlet, .host(context), .quiet) {
            var times = Times()
            for round in -10..<options.count(300) {
                let (result, duration) = try await time { try await remote("true") }
                guard result.succeeded else { throw BenchmarkError("true: \(result.termination)") }
                if round >= 0 { times.add(duration) }
            }
            return times.sample(1e3)
        }
    }

    /// Many contexts at once, from nothing to the answer of each; over ssh by aliases `c-1`, `c-2` and so on.
    static func fan(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let count = options.count(100)
        if options.way == "ssh" { await (try martlet.connect(options.ssh())).close() }
        let (_, duration) = try await time {
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 1...count {
                    group.addTask {
                        let context =
                            options.way == "ssh"
                            ? try await martlet.connect(options.ssh("c-\(number)")) : try await martlet.connect(.local)
                        return try await context.call(Echo(value: number))
                    }
                }
                var sum = 0
                for try await number in group { sum += number }
                guard sum == count * (count + 1) / 2 else { throw BenchmarkError("a wrong answer") }
            }
        }
        return ["seconds": duration.inSeconds]
    }
}
