// The rows of the audit log and their facts in words. What has no words yet is told by its name.
import { has, t } from "../shared/i18n.js";

// In the order of docs/operating/audit.md.
export const EVENTS = [
  "control_started", "control_stopped", "call_answered", "call_ended", "shield", "capture_started", "capture_commanded",
  "flows_reloaded", "capture_ended", "payment", "call_handed_over", "flow_alert", "velocity_stopped", "keys_after_mask",
  "recording_closed", "login", "login_failed", "login_failures_many", "logout", "user_made", "user_changed", "user_disabled",
  "user_enabled", "password_changed", "second_factor_on", "second_factor_off", "recovery_code_used", "second_factor_reset",
  "password_reset", "password_set", "signed_out", "link_made", "key_made", "key_revoked", "role_denied", "call_denied",
  "payment_ordered", "recording_taken", "report_taken", "token_taken", "webhook_tested", "audit_read", "audit_row_cut",
  "audit_roots_set_aside",
];

const plain = (name) => name.replaceAll("_", " ");
export const eventWords = (event) => (has(`audit.event.${event}`) ? t(`audit.event.${event}`) : plain(event));
export const factWords = (name) => (has(`audit.fact.${name}`) ? t(`audit.fact.${name}`) : plain(name));
