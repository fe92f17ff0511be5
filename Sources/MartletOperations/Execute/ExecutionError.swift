/// What of several runs has failed, when all have ended.
public struct ExecutionError: Error, Sendable {
    /// One run that failed.
    public struct Failure: Sendable {
        /// Its place among all.
        public let index: Int
        /// Its host, or its number from 1 on.
        public let label: String
        /// What it threw.
        public let error: any Error
    }

    /// How many there were.
    public let count: Int
    /// In the order of the runs; at least one.
    public let failures: [Failure]
    /// What each came to, in their order.
    public let outcomes: [Result<any Sendable, any Error>]

    /// - Returns: `nil` if none has failed.
    init?<R: Sendable>(_ results: [Result<R, any Error>], labels: (Int) -> String) {
        count = results.count
        failures = results.enumerated().compactMap { index, result in
            if case .failure(let error) = result {
                Failure(index: index, label: labels(index), error: error)
            } else {
                nil
            }
        }
        outcomes = results.map { $0.map { $0 as any Sendable } }
        if failures.isEmpty { return nil }
    }
}

extension ExecutionError: CustomStringConvertible {
    /// How many have failed, and why each did.
    public var description: String {
        let lines = failures.map { failure in
            "\n\(failure.label): " + "\(failure.error)".split(separator: "\n").joined(separator: "\n    ")
        }
        return "\(failures.count) of \(count) failed" + lines.joined()
    }
}
