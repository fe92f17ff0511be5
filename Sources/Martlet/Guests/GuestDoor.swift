import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Lets other controllers of this user in, each as ``GuestContext`` of its own: their tasks find `provided`.
package final class GuestDoor: Sendable {
    /// How many may be in one process at once.
    package static let guestLimit = 64

    private struct State {
        var door: Detachment?
        var guests: [ObjectIdentifier: GuestContext] = [:]
        var isClosed = false
    }

    package let place: HubPlace
    private let lock: Int32
    private let guests = Mutex(State())

    /// - Parameter onChange: told how many are in, when that has changed.
    /// - Throws: ``MartletError`` `refused` if somebody has the door open already, `noPlace` with what was tried.
    package init(
        _ places: [HubPlace], provided: any Sendable, onChange: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws {
        let (place, lock) = try Self.take(places)
        (self.place, self.lock) = (place, lock)
        // What has that name now is nobody's.
        unlink(place.socket)
        let images = ImageStore(.ownExecutable(id: nil))
        do {
            let door = try Detachment(.shared, at: place.detached) { [weak self] source, nonce in
                self?.admit(source, nonce, images, provided, onChange) ?? false
            }
            guests.withLock { $0.door = door }
            door.start()
        } catch {
            close()
            throw error
        }
    }

    private static func take(_ places: [HubPlace]) throws(MartletError) -> (HubPlace, Int32) {
        var tried: [String] = []
        for place in places {
            do { return (place, try place.take()) } catch {
                guard error.code == .noPlace else { throw error }
                tried.append(error.message)
            }
        }
        throw MartletError(
            .noPlace, "there is no private place for the hub's socket", detail: tried.joined(separator: "\n"),
            advice: "MARTLET_HUB=DIR, with a directory that is yours alone")
    }

    private func admit(
        _ source: EventSource, _ nonce: String, _ images: ImageStore, _ provided: any Sendable,
        _ onChange: @escaping @Sendable (Int) -> Void
    ) -> Bool {
        let guest = GuestContext(.shared, images: images, provided: provided) { [weak self] guest in
            guard let self else { return }
            onChange(
                guests.withLock { state in
                    state.guests[ObjectIdentifier(guest)] = nil
                    return state.guests.count
                })
        }
        let count = guests.withLock { state -> Int? in
            guard !state.isClosed, state.guests.count < Self.guestLimit else { return nil }
            state.guests[ObjectIdentifier(guest)] = guest
            return state.guests.count
        }
        guard let count else { return false }
        onChange(count)
        guest.begin(source, nonce: nonce)
        return true
    }

    /// Lets nobody in any more, and ends what runs for those who are.
    package func close() {
        let (door, inside, isFirst) = guests.withLock { state in
            defer { (state.door, state.isClosed) = (nil, true) }
            return (state.door, Array(state.guests.values), !state.isClosed)
        }
        guard isFirst else { return }
        for guest in inside { guest.close() }
        // Before the directory, which goes if it is empty.
        let isOurs = place.removeLock(lock)
        door?.close(removingSocket: isOurs)
        closeDescriptor(lock)
    }
}

extension Controller {
    /// A context in this user's hub, if there is one.
    ///
    /// - Throws: ``MartletError``: it does not answer, has too many guests, or is of another build.
    package func connectHub(_ places: [HubPlace]) async throws -> Context? {
        for place in places {
            var status = stat()
            guard lstat(place.socket, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK, status.st_uid == geteuid()
            else { continue }
            var options = ConnectOptions()
            options.deadline = .seconds(5)
            do {
                return try await connect(
                    DetachedConnector(place: place.detached, userID: geteuid(), name: "hub"), options: options)
            } catch let error as MartletError where error.code == .leaseEnded {
                // Nobody listens any more.
                continue
            } catch let error as MartletError {
                throw place.explained(error)
            }
        }
        return nil
    }
}

extension HubPlace {
    /// Why the hub cannot be used.
    fileprivate func explained(_ error: MartletError) -> MartletError {
        var error = error
        switch error.code {
        case .handshakeFailed:
            error.message = "the hub at \(socket) is of another build of this program"
            error.advice = "'martlet down' ends it; it ends by itself when it has nothing to do"
        case .refused:
            error.message = "the hub at \(socket) has \(GuestDoor.guestLimit) guests already"
            error.advice = "try again, or do without it"
        case .connectTimedOut, .unreachable:
            error.message = "the hub\(holder.map { " (process \($0))" } ?? "") does not answer"
            error.detail = "its socket is \(socket)"
            error.advice = "'martlet down' ends it; until then commands wait 5 s for it, and connect by themselves"
        default: break
        }
        return error
    }
}
