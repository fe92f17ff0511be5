import ArgumentParser

/// When output is coloured.
enum ColourChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// On a terminal, unless `NO_COLOR` is set.
    case auto
    case always
    case never

    func applies(toTerminal isTerminal: Bool) -> Bool {
        switch self {
        case .auto: isTerminal && SystemCalls.variable("NO_COLOR") == nil
        case .always: true
        case .never: false
        }
    }
}
