import ArgumentParser
import MartletFleet

/// In which order the hosts of a command are gone through, when that stops, and what is tried again.
struct StrategyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Go through the hosts in batches, one after the other: numbers, shares of all, or rest, as in 1,10%,rest. The last \
            size goes for all batches that follow.
            """, valueName: "sizes"),
        transform: Self.sizes)
    var batches: Sizes?

    @Flag(help: "Go through the hosts one after the other: each is a batch.")
    var serial = false

    @Option(
        help: ArgumentHelp(
            """
            Begin no more hosts when more than so many, or so much of all, have failed: those that are under way end, the others \
            are skipped. Default: 0 with --batches and --serial, else any number.
            """, valueName: "number|share%"),
        transform: Self.budget)
    var maxFailures: FailureBudget?

    @Option(
        help: ArgumentHelp(
            """
            Try to connect a host again, up to so many times, after about 1 s, 2 s, 4 s, unless the reason is one that stays, as \
            a wrong password. What has begun to run is never run twice.
            """, valueName: "number"))
    var retry = 0

    @Option(
        help: ArgumentHelp(
            "Give each host so many seconds in all, from its turn to connect on, with all tries.", valueName: "seconds")
    )
    var deadline: Double?

    @Option(
        help: ArgumentHelp(
            """
            When a batch is done, run this line of shell on those of its hosts that succeeded. If it fails on one, no more \
            hosts are begun.
            """, valueName: "command"))
    var verify: String?

    /// The sizes of batches.
    struct Sizes: Sendable { var sizes: [BatchSize] }

    private static func sizes(_ text: String) throws -> Sizes {
        let sizes = text.split(separator: ",", omittingEmptySubsequences: false).map { BatchSize(String($0)) }
        guard !sizes.contains(nil) else {
            throw ValidationError("--batches wants numbers, shares or rest, as in 1,10%,rest, not \"\(text)\"")
        }
        return Sizes(sizes: sizes.compactMap(\.self))
    }

    private static func budget(_ text: String) throws -> FailureBudget {
        guard let budget = FailureBudget(text) else {
            throw ValidationError("--max-failures wants a number or a share, as in 2 or 5%, not \"\(text)\"")
        }
        return budget
    }

    func validate() throws {
        if let deadline { _ = try OptionValue.duration(deadline, "--deadline") }
        guard (0...1000).contains(retry) else { throw ValidationError("--retry wants a number from 0 to 1000") }
        try OptionValue.notBlank(["--verify": verify])
        if serial, batches != nil {
            throw ValidationError("--serial goes host by host, and --batches by several: name one of them")
        }
    }

    /// - Parameter limit: how many hosts may be worked on at once.
    func strategy(limit: Int) -> FleetStrategy {
        FleetStrategy(
            batches: serial ? [1] : batches?.sizes ?? [], limit: limit,
            failures: maxFailures ?? (serial || batches != nil ? .count(0) : .unlimited),
            retry: RetryPolicy(connects: retry),
            memberDeadline: deadline.map { .milliseconds(Int64($0 * 1000)) })
    }
}
