/// Times of the same work, done again and again.
struct Times: Sendable {
    private var seconds: [Double] = []

    mutating func add(_ duration: Duration) { seconds.append(duration.inSeconds) }

    var median: Double { quantile(0.5) }
    var mean: Double { seconds.reduce(0, +) / Double(seconds.count) }

    func quantile(_ share: Double) -> Double {
        let sorted = seconds.sorted()
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }

    /// Mean, median and 99th percentile, each times `factor`: 1e3 for milliseconds, 1e6 for microseconds.
    func sample(_ factor: Double) -> Sample {
        ["mean": mean * factor, "median": median * factor, "p99": quantile(0.99) * factor]
    }
}

extension Sample: ExpressibleByDictionaryLiteral {
    init(dictionaryLiteral elements: (String, Double)...) {
        self.init([:])
        for (name, value) in elements { add(name, value) }
    }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

/// How long `body` took.
func time<R>(_ body: () async throws -> R) async rethrows -> (R, Duration) {
    let start = ContinuousClock.now
    let result = try await body()
    return (result, ContinuousClock.now - start)
}
