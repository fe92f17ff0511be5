import MartletWire

/// What goes with a call beyond its arguments; left out where there is nothing.
struct CallHeaders: Codable {
    /// What the caller's instrument wrote for the far side's: trace and baggage.
    var trace: [String: String]?
    /// Where what the task prints goes.
    var output: ChannelEnd<OutputLine, Never>?
    /// Nobody waits for the answer.
    var isPosted: Bool?

    var isEmpty: Bool { trace == nil && output == nil && isPosted == nil }
}
