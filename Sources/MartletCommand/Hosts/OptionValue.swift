import ArgumentParser

/// What values of options have to be.
enum OptionValue {
    /// - Throws: `ValidationError` unless it is a sensible number of seconds.
    static func duration(_ seconds: Double, _ option: String) throws -> Duration {
        guard seconds >= 0.001, seconds <= 1e8 else {
            throw ValidationError("\(option) wants a number of seconds from 0.001 to 100000000")
        }
        return .milliseconds(Int64(seconds * 1000))
    }

    /// Refuses what is given but says nothing, which is what a shell makes of a variable that is not set.
    ///
    /// - Throws: `ValidationError` that names the option.
    static func notBlank(_ values: KeyValuePairs<String, String?>) throws {
        for (option, value) in values { if let value { try notBlank([value], option) } }
    }

    /// - Throws: as ``notBlank(_:)``.
    static func notBlank(_ values: [String], _ option: String) throws {
        guard values.contains(where: { $0.allSatisfy(\.isWhitespace) }) else { return }
        throw ValidationError("\(option) is empty: leave it out, or see whether a variable in it is not set")
    }
}
