import Martlet
import MartletFleet

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension Cases {
    /// A group of many local contexts: connected, called, called again, and what they said grouped.
    static func fleet(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let count = options.count(1_000)
        raiseDescriptorLimit(to: count * 8)
        let group = try martlet.group(Array(repeating: "local", count: count))
        let (_, connect) = try await time { try await group.connect().get() }
        var times = Times()
        for round in 0..<5 {
            let (sum, duration) = try await time {
                try await group.call { Echo(value: $0.number) }.get().reduce(0, +)
            }
            guard sum == count * (count + 1) / 2 else { throw BenchmarkError("a wrong answer") }
            if round > 0 { times.add(duration) }
        }
        let text = String(repeating: "a line of what a command has said\n", count: 100)
        let outputs = (0..<count).map { ("web\(1_000 + $0)", $0 % 100 == 7 ? text + "\($0 % 3)\n" : text) }
        let (groups, grouping) = try await time { OutputGroups(outputs) }
        guard groups[0].names.count == outputs.count(where: { $0.1 == text }) else {
            throw BenchmarkError("a wrong group")
        }
        // The same without a group: what the contexts themselves cost.
        var contexts: [Context] = []
        for member in group { contexts.append(try await group.context(of: member)) }
        let (_, direct) = try await time {
            try await withThrowingTaskGroup(of: Int.self) { [contexts] tasks in
                for (number, context) in contexts.enumerated() {
                    tasks.addTask { try await context.call(Echo(value: number)) }
                }
                for try await _ in tasks {}
            }
        }
        await group.close()
        var sample = times.sample(1)
        sample.add("direct", direct.inSeconds)
        sample.add("connect", connect.inSeconds)
        sample.add("grouping", grouping.inSeconds * 1e3)
        return sample
    }

    static func raiseDescriptorLimit(to count: Int) {
        var limit = rlimit()
        getrlimit(.init(7), &limit)  // RLIMIT_NOFILE, whose type differs from one libc to the other
        limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, rlim_t(count)))
        setrlimit(.init(7), &limit)
    }
}
