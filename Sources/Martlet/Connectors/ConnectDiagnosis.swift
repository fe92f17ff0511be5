import MartletReactor

/// What a failed bootstrap means, whatever the connector.
enum ConnectDiagnosis {
    static func error(
        _ failure: BootstrapFailure,
        phase: ConnectPhase,
        exit: ExitStatus?,
        lines: [String],
        route: Route
    ) -> MartletError {
        let printed = printed(failure, lines)
        func error(
            _ code: MartletError.Code, _ message: String, _ phase: ConnectPhase, _ advice: String?
        ) -> MartletError {
            MartletError(code, message, route: route, phase: phase, detail: printed, advice: advice)
        }
        let end = exit.map(ending) ?? "the far side closed its output"
        switch failure.kind {
        case .nothingReported:
            if printed?.mentions("Unable to obtain Swift runtime path") == true {
                return error(.imageDied, "the image could not start: /proc is not mounted there", .boot, "mount /proc")
            }
            if let missing = missingLibrary(lines) { return missing(route, printed) }
            let message = "no shell ran what we sent: \(end)"
            return error(
                .noShell, message, .boot,
                "does a plain command work this way? Is the login shell real, without a forced command?")
        case .noImage(let system, let machine):
            let name = system.isEmpty ? "a machine without uname" : "\(system) \(machine)"
            return error(
                .wrongPlatform,
                "there is no image for \(name)",
                .boot,
                "build one for it (swift build -c release --swift-sdk \(machine.isEmpty ? "ARCH" : machine)-swift-linux-musl) and add it to the image set"
            )
        case .noPlace, .lost:
            // A place that can run a script but not the image lacks what the image needs, not room.
            let isUnfit = failure.places.contains { $0.reason == "exec-failed" }
            return isUnfit
                ? error(
                    .imageDied,
                    "the machine does not execute the image: it lacks the C library that the image is linked to",
                    .boot,
                    staticAdvice
                )
                : error(
                    .noPlace,
                    "no place there takes an executable",
                    .boot,
                    "free some space, or mount one of these without noexec"
                )
        case .ended:
            if case .signalled? = exit {
                return error(
                    .connectorFailed, "\(end) while the image was on its way", .boot,
                    "what ended it on this side? Nothing was kept at the far side, so another connect begins anew")
            }
            return error(.imageUnusable, "\(end) while the image was on its way", .boot, nil)
        case .agentDidNotStart, .cachedDidNotStart:
            if let missing = missingLibrary(lines) { return missing(route, printed) }
            return error(
                .imageDied,
                (failure.kind == .cachedDidNotStart ? "the image in the far cache" : "the image")
                    + " was started and ended before it said hello: \(end)",
                .boot,
                "run it there by hand to see why; a static build (-static-executable) needs nothing from the machine"
            )
        case .noInterpreter:
            // None is there, or none does what is asked of it.
            let isAbsent = failure.places.allSatisfy { $0.reason == "absent" }
            return error(
                .noInterpreter,
                isAbsent
                    ? "the machine has no interpreter for what was to run there"
                    : "no interpreter there can run what was sent",
                .boot,
                isAbsent
                    ? "install one of these, or name the one that is there"
                    : "mend or install one of these, or name another that is there")
        case .scriptDidNotStart:
            return error(
                .imageDied, "the interpreter was started and ended before it said hello: \(end)", .boot,
                "name another interpreter, if the machine has one")
        case .unexpectedReport(let report):
            return error(.handshakeFailed, "the far side reported \(report) out of turn", .boot, nil)
        case .deadline(let phase):
            return error(.connectTimedOut, "the time was up while \(phase)", .boot, nil)
        }
    }

    private static let staticAdvice = "send a static image: swift build -c release -Xswiftc -static-executable"

    /// What was tried, if more than one thing could be, and what the far side printed.
    private static func printed(_ failure: BootstrapFailure, _ lines: [String]) -> String? {
        let tries = failure.places.map { "\($0.place): \($0.reason)" }
        let all = tries + noiseLines(failure.noise) + lines.suffix(20)
        return all.isEmpty ? nil : all.joined(separator: "\n")
    }

    static func noiseLines(_ noise: [UInt8]) -> [String] {
        let text = String(decoding: noise.suffix(4096), as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).suffix(20).map(visible)
    }

    /// What came may be anything: control characters must not reach a person's terminal.
    static func visible(_ text: some StringProtocol) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.value < 0x20 && $0 != "\t" || $0.value == 0x7f ? "·" : $0 }))
    }

    /// What the system's loader says when a dynamic image does not fit the machine.
    private static func missingLibrary(_ lines: [String]) -> ((Route, String?) -> MartletError)? {
        let words = ["error while loading shared libraries", "version `GLIBC_", "not found (required by", "ld-linux"]
        guard let line = lines.first(where: { line in words.contains { line.mentions($0) } }) else { return nil }
        return { route, printed in
            MartletError(
                .imageDied,
                "the image does not fit the machine's libraries: \(line)",
                route: route,
                phase: .boot,
                detail: printed,
                advice: staticAdvice
            )
        }
    }

    private static func ending(_ status: ExitStatus) -> String {
        switch status {
        case .exited(let code): "the far side exited with code \(code)"
        // A far shell's signal comes as a code: it is the program in front, on this side, that was ended.
        case .signalled(let signal): "the program that leads there was ended by signal \(SignalName.of(signal))"
        }
    }

    static func advice(forTimeoutIn phase: ConnectPhase) -> String? {
        switch phase {
        case .queue, .reach: "is the machine up, and does a firewall let us through?"
        case .authenticate:
            "the machine answers but does not finish the login: is it overloaded, or does its login wait for another service?"
        case .boot:
            "the login works, but its shell does not get to our command: does a forced command run instead of it? Else look at the login files there, and at the disk"
        case .handshake: "the image runs but does not answer: is the machine overloaded?"
        }
    }
}
