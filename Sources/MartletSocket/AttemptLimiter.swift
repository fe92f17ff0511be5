/// Who may knock again, and when: slows down who guesses secrets. Pure; times are in seconds of any clock.
///
/// Each address has three failures free; then each doubles the time for which it is turned away: 2 s, 4 s, up to 64 s. A success
/// forgives, and so do ten minutes without a failure.
struct AttemptLimiter {
    static let free = 3
    static let longestPause = 64.0
    static let memory = 600.0
    /// How many addresses are remembered: the oldest go first.
    static let room = 4096

    private struct Record {
        var failures = 0
        var last: Double
        var closedUntil: Double
    }

    private var records: [String: Record] = [:]

    /// Whether a connection from `address` is heard at all.
    func admits(_ address: String, at time: Double) -> Bool {
        guard let record = records[address] else { return true }
        return time >= record.closedUntil
    }

    mutating func failed(_ address: String, at time: Double) {
        var record = records[address] ?? Record(last: time, closedUntil: time)
        if time - record.last > Self.memory { record.failures = 0 }
        record.failures += 1
        record.last = time
        if record.failures > Self.free {
            let exponent = Double(min(record.failures - Self.free, 10))
            var pause = 1.0
            for _ in 0..<Int(exponent) { pause *= 2 }
            record.closedUntil = time + min(pause, Self.longestPause)
        }
        records[address] = record
        guard records.count > Self.room else { return }
        if let oldest = records.min(by: { $0.value.last < $1.value.last })?.key { records[oldest] = nil }
    }

    mutating func succeeded(_ address: String) { records[address] = nil }

    var count: Int { records.count }
}
