import Martlet

/// Which hub this user's commands look for.
enum HubFinder {
    /// `MARTLET_HUB` is `off`, or names a directory for the socket. Default: a private directory of this user.
    static var places: [HubPlace] {
        switch SystemCalls.variable("MARTLET_HUB") {
        case "off": []
        case let directory?: [HubPlace(directory: SystemCalls.absolute(directory))]
        case nil: HubPlace.usual
        }
    }

    /// - Throws: ``CommandFailure`` if hubs are turned off.
    static func wanted() throws(CommandFailure) -> [HubPlace] {
        let places = places
        guard !places.isEmpty else { throw CommandFailure("MARTLET_HUB is off: no hub is used") }
        return places
    }

    /// Our context in the hub, if there is one that can be used. One of another build, or with too many guests, is as none:
    /// `martlet tree` says so.
    static func hub(_ controller: Controller, _ output: Output) async -> Context? {
        do { return try await controller.connectHub(places) } catch let error as MartletError
            where error.code == .connectTimedOut
        {
            // Who has waited for it hears why.
            output.say("martlet: \(error.message): connecting without it", to: .error)
        } catch {}
        return nil
    }
}
