import Martlet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension Cases {
    /// One call after the other.
    static func call(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await open(martlet, options)
        for value in 0..<500 { _ = try await context.call(Echo(value: value)) }
        let count = options.count(options.way == "local" ? 20_000 : 5_000)
        return try await used(context, by: count) {
            var times = Times()
            for value in 0..<count {
                let start = ContinuousClock.now
                let answer = try await context.call(Echo(value: value))
                times.add(ContinuousClock.now - start)
                guard answer == value else { throw BenchmarkError("a wrong answer") }
            }
            return times.sample(1e6)
        }
    }

    /// Many calls under way at once; each of them waits for its answer before the next.
    static func flight(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await open(martlet, options)
        let count = options.count(100_000)
        try await calls(count / 5, 256, context)
        var result: Sample = [:]
        var best = (rate: 0.0, concurrency: 0)
        for concurrency in options.concurrency {
            let (sample, duration) = try await time {
                try await used(context, by: count) {
                    try await calls(count, concurrency, context)
                    return [:]
                }
            }
            let rate = Double(count) / duration.inSeconds
            result.add("at\(concurrency)", rate)
            result.add(sample.renamed { "\($0)_at\(concurrency)" })
            if rate > best.rate { best = (rate, concurrency) }
        }
        result.add("rate", best.rate)
        result.add("concurrency", Double(best.concurrency))
        return result
    }

    /// Calls on demand, for tracers that attach: prints who is who, makes the calls after a line of input, ends after
    /// another. A `--concurrency` of 1 makes them one after the other.
    static func hold(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await open(martlet, options)
        let concurrency = options.concurrency[0]
        let count = options.count(2_000)
        try await calls(2_000, concurrency, context)
        announce(#"{"controller":\#(getpid()),"agent":\#(context.facts.processID)}"#)
        let (_, duration) = try await time { try await calls(count, concurrency, context) }
        announce(#"{"done":\#(count)}"#)
        return ["mean": duration.inSeconds * 1e6 / Double(count)]
    }

    private static func calls(_ count: Int, _ concurrency: Int, _ context: Context) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<concurrency {
                let share = count / concurrency + (worker < count % concurrency ? 1 : 0)
                group.addTask {
                    for value in 0..<share where try await context.call(Echo(value: value)) != value {
                        throw BenchmarkError("a wrong answer")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Adds what a call costs each side in processor time (microseconds) and in sleeps.
    private static func used(
        _ context: Context,
        by count: Int,
        _ body: () async throws -> Sample
    ) async throws -> Sample {
        let (here, there) = (Usage.current(), try await context.call(Usage()))
        var sample = try await body()
        let (hereAfter, thereAfter) = (Usage.current(), try await context.call(Usage()))
        let calls = Double(count)
        sample.add("cpu_controller", (hereAfter.microseconds - here.microseconds) / calls)
        sample.add("cpu_agent", (thereAfter.microseconds - there.microseconds) / calls)
        sample.add("sleeps_controller", (hereAfter.switches - here.switches) / calls)
        sample.add("sleeps_agent", (thereAfter.switches - there.switches) / calls)
        return sample
    }
}
