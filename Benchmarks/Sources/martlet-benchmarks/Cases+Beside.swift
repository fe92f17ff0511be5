import Martlet

extension Cases {
    /// Small calls beside a channel that sends as much as it can, both over the same two hops.
    static func beside(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await martlet.connect(.local).connect(.local)
        let (here, there) = context.makeChannel(of: [UInt8].self)
        async let drained = context.call(Drain(items: there))
        let transfer = Task {
            let item = [UInt8](repeating: 7, count: 1 << 20)
            var count = 0
            while !Task.isCancelled {
                try await here.send(item)
                count += item.count
            }
            return count
        }
        for value in 0..<200 { _ = try await context.call(Echo(value: value)) }
        var times = Times()
        let (_, duration) = try await time {
            for value in 0..<options.count(2_000) {
                let (answer, duration) = try await time { try await context.call(Echo(value: value)) }
                times.add(duration)
                guard answer == value else { throw BenchmarkError("a wrong answer") }
            }
        }
        transfer.cancel()
        _ = await transfer.result
        here.finish()
        let bytes = try await drained
        var sample = times.sample(1e3)
        sample.add("rate", Double(bytes) / duration.inSeconds / 1e6)
        return sample
    }
}
