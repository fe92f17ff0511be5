import Martlet

/// Reads to the end and says how much came.
struct Drain<Item: Codable & Sendable & Measured>: RemoteTask {
    var items: Channel<Item>
    func run(in context: RemoteContext) async throws -> Int {
        var sum = 0
        while let item = try await items.receive() { sum += item.measure }
        return sum
    }
}

protocol Measured { var measure: Int { get } }
extension Int: Measured { var measure: Int { 1 } }
extension [UInt8]: Measured { var measure: Int { count } }

extension Cases {
    /// Small numbers, one way, one after the other: items a second.
    static func items(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await open(martlet, options)
        let count = options.count(1_000_000)
        return ["rate": Double(count) / (try await drain(context, 0, count, 1)).inSeconds]
    }

    /// Byte strings of 1 MiB, one way: bytes a second.
    static func bulk(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let context = try await open(martlet, options)
        let count = options.count(512)
        let item = [UInt8](repeating: 7, count: 1 << 20)
        return [
            "rate": Double(count) * Double(item.count) / (try await drain(context, item, count, item.count)).inSeconds
                / 1e6
        ]
    }

    private static func drain<Item: Codable & Sendable & Measured>(
        _ context: Context, _ item: Item, _ count: Int, _ measure: Int
    ) async throws -> Duration {
        var duration = Duration.zero
        // The first finds the window.
        for (round, count) in [min(count, 64), count].enumerated() {
            let (here, there) = context.makeChannel(of: Item.self)
            async let sum = context.call(Drain(items: there))
            let start = ContinuousClock.now
            for _ in 0..<count { try await here.send(item) }
            here.finish()
            guard try await sum == count * measure else { throw BenchmarkError("something was lost") }
            if round == 1 { duration = ContinuousClock.now - start }
        }
        return duration
    }
}
